// Reading attributes of dialects that are not registered here.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "OpaqueFields.h"
#include "mlir/AsmParser/AsmParser.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace mlir::moe;

static bool isNameCharacter(char c) {
  return llvm::isAlnum(c) || c == '_' || c == '.' || c == '$';
}

/// Takes `name = attribute` off the front of `text`; null where it does not
/// stand there.
static std::pair<StringRef, Attribute> takeField(StringRef &text,
                                                 MLIRContext *context) {
  StringRef name = text.take_while(isNameCharacter);
  text = text.drop_front(name.size()).ltrim();
  if (name.empty() || !text.consume_front("="))
    return {};
  text = text.ltrim();
  // The parser's own diagnostics speak of a buffer that nobody knows.
  ScopedDiagnosticHandler silence(context,
                                  [](Diagnostic &) { return success(); });
  size_t read = 0;
  Attribute value = parseAttribute(text, context, Type(), &read);
  text = text.drop_front(value ? read : 0).ltrim();
  return {name, value};
}

FailureOr<OpaqueFields>
OpaqueFields::parse(Attribute attribute, StringRef dialect, StringRef mnemonic,
                    llvm::function_ref<InFlightDiagnostic()> emitError) {
  auto fail = [&] {
    return emitError() << "expected #" << dialect << "." << mnemonic
                       << "<name = value, ...>, got " << attribute;
  };
  auto opaque = dyn_cast_or_null<OpaqueAttr>(attribute);
  if (!opaque || opaque.getDialectNamespace() != dialect)
    return fail();
  StringRef text = opaque.getAttrData().trim();
  if (!text.consume_front(mnemonic))
    return fail();
  text = text.ltrim();
  if (!text.consume_front("<") || !text.consume_back(">"))
    return fail();
  text = text.trim();
  OpaqueFields result;
  while (!text.empty()) {
    auto [name, value] = takeField(text, attribute.getContext());
    if (!value)
      return fail();
    result.fields.emplace_back(name, value);
    if (text.empty())
      break;
    if (!text.consume_front(","))
      return fail();
    text = text.ltrim();
  }
  return result;
}

std::optional<SmallVector<int64_t>> moe::readIntegers(Attribute attribute) {
  if (auto dense = dyn_cast_or_null<DenseI64ArrayAttr>(attribute))
    return SmallVector<int64_t>(dense.asArrayRef());
  auto array = dyn_cast_or_null<ArrayAttr>(attribute);
  if (!array)
    return std::nullopt;
  SmallVector<int64_t> values;
  for (Attribute element : array) {
    auto integer = dyn_cast<IntegerAttr>(element);
    if (!integer || integer.getValue().getSignificantBits() > 64)
      return std::nullopt;
    values.push_back(integer.getValue().getSExtValue());
  }
  return values;
}
