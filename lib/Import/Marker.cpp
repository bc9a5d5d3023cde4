// Reading marker calls: attributes, operands, shapes.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Marker.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace mlir::moe;

static constexpr int64_t kMarkerVersion = 1;
// Keys of every marker, besides those of its spec.
static constexpr StringLiteral kOp = "op", kVersion = "version",
                               kOperands = "operands";

template <typename RangeT> static std::string joinNames(const RangeT &specs) {
  return llvm::join(
      llvm::map_range(specs, [](const auto &spec) { return spec.name.str(); }),
      ", ");
}

static StringRef describe(MarkerAttributeKind kind) {
  switch (kind) {
  case MarkerAttributeKind::Integer:
    return "an i64";
  case MarkerAttributeKind::Float:
    return "an f64";
  case MarkerAttributeKind::String:
    return "a string";
  case MarkerAttributeKind::Bool:
    return "a bool";
  }
  llvm_unreachable("an attribute of a marker has one of four kinds");
}

static bool isOfKind(Attribute attribute, MarkerAttributeKind kind) {
  switch (kind) {
  case MarkerAttributeKind::Integer:
    if (auto integer = dyn_cast<IntegerAttr>(attribute))
      return integer.getType().isSignlessInteger(64);
    return false;
  case MarkerAttributeKind::Float:
    if (auto number = dyn_cast<FloatAttr>(attribute))
      return number.getType().isF64();
    return false;
  case MarkerAttributeKind::String:
    return isa<StringAttr>(attribute);
  case MarkerAttributeKind::Bool:
    return isa<BoolAttr>(attribute);
  }
  llvm_unreachable("an attribute of a marker has one of four kinds");
}

//===----------------------------------------------------------------------===//
// Marker
//===----------------------------------------------------------------------===//

InFlightDiagnostic Marker::emitError() const {
  func::CallOp op = call; // getCallee is not const.
  return op->emitError() << "marker @" << op.getCallee() << ": ";
}

FailureOr<StringRef> Marker::readOp(func::CallOp call,
                                    func::FuncOp declaration) {
  auto attributes = declaration->getAttrOfType<DictionaryAttr>(kMarkerAttr);
  if (!attributes)
    return call->emitError()
           << "marker @" << call.getCallee() << ": '" << kMarkerAttr
           << "' must be a dictionary that names the operation";
  Marker marker(call, attributes);
  auto op = attributes.getAs<StringAttr>(kOp);
  if (!op)
    return marker.emitError() << "the dictionary has no string 'op'";
  auto version = attributes.getAs<IntegerAttr>(kVersion);
  if (!version || !version.getType().isSignlessInteger(64))
    return marker.emitError() << "the dictionary has no i64 'version'";
  if (version.getInt() != kMarkerVersion)
    return marker.emitError()
           << "version " << version.getInt() << " of op \"" << op.getValue()
           << "\" is unknown, accepted is " << kMarkerVersion
           << "; the front end and the compiler are of different releases";
  return op.getValue();
}

FailureOr<Marker> Marker::read(func::CallOp call, func::FuncOp declaration,
                               const MarkerSpec &spec) {
  Marker marker(call, declaration->getAttrOfType<DictionaryAttr>(kMarkerAttr));
  if (failed(marker.checkAttributes(spec)) || failed(marker.readOperands(spec)))
    return failure();
  if (call.getNumResults() != spec.results)
    return marker.emitError() << "op \"" << spec.op << "\" has " << spec.results
                              << " result" << (spec.results == 1 ? "" : "s")
                              << ", the call " << call.getNumResults();
  return marker;
}

LogicalResult Marker::checkAttributes(const MarkerSpec &spec) const {
  for (NamedAttribute entry : attributes) {
    StringRef name = entry.getName().strref();
    if (llvm::is_contained({kOp, kVersion, kOperands}, name))
      continue;
    const auto *known = llvm::find_if(
        spec.attributes, [&](const auto &a) { return a.name == name; });
    if (known == spec.attributes.end())
      return emitError() << "unknown attribute '" << name << "' of op \""
                         << spec.op
                         << "\", accepted are: " << joinNames(spec.attributes);
    if (!isOfKind(entry.getValue(), known->kind))
      return emitError() << "attribute '" << name << "' must be "
                         << describe(known->kind) << ", got "
                         << entry.getValue();
  }
  for (const MarkerAttribute &attribute : spec.attributes)
    if (attribute.required && !attributes.contains(attribute.name))
      return emitError() << "attribute '" << attribute.name
                         << "' is missing, op \"" << spec.op << "\" needs it ("
                         << describe(attribute.kind) << ")";
  return success();
}

/// `value` without the casts that only forget sizes: front ends put them around
/// calls whose declaration is shared.
static Value skipForgettingCasts(Value value) {
  while (auto cast = value.getDefiningOp<tensor::CastOp>()) {
    if (!tensor::preservesStaticInformation(cast.getType(),
                                            cast.getSource().getType()))
      break;
    value = cast.getSource();
  }
  return value;
}

LogicalResult Marker::readOperands(const MarkerSpec &spec) {
  auto names = attributes.getAs<ArrayAttr>(kOperands);
  if (!names)
    return emitError() << "the dictionary has no array 'operands' of strings";
  func::CallOp op = call;
  if (names.size() != op.getNumOperands())
    return emitError() << "'operands' names " << names.size()
                       << " operands, the call has " << op.getNumOperands();
  for (auto [attribute, value] : llvm::zip(names, op.getOperands())) {
    auto name = dyn_cast<StringAttr>(attribute);
    if (!name)
      return emitError() << "'operands' must hold strings, got " << attribute;
    if (llvm::none_of(spec.operands,
                      [&](const auto &o) { return o.name == name; }))
      return emitError() << "unknown operand '" << name.getValue()
                         << "' of op \"" << spec.op
                         << "\", accepted are: " << joinNames(spec.operands);
    if (getOperand(name))
      return emitError() << "operand '" << name.getValue()
                         << "' is given twice";
    operands.emplace_back(name.getValue(), skipForgettingCasts(value));
  }
  for (const MarkerOperand &operand : spec.operands)
    if (operand.required && !getOperand(operand.name))
      return emitError() << "operand '" << operand.name << "' is missing, op \""
                         << spec.op << "\" needs it";
  return success();
}

Value Marker::getOperand(StringRef name) const {
  for (auto [known, value] : operands)
    if (known == name)
      return value;
  return {};
}

int64_t Marker::getInteger(StringRef name, int64_t byDefault) const {
  auto attribute = attributes.getAs<IntegerAttr>(name);
  return attribute ? attribute.getInt() : byDefault;
}

double Marker::getFloat(StringRef name, double byDefault) const {
  auto attribute = attributes.getAs<FloatAttr>(name);
  return attribute ? attribute.getValueAsDouble() : byDefault;
}

bool Marker::getBool(StringRef name, bool byDefault) const {
  auto attribute = attributes.getAs<BoolAttr>(name);
  return attribute ? attribute.getValue() : byDefault;
}

StringRef Marker::getString(StringRef name, StringRef byDefault) const {
  auto attribute = attributes.getAs<StringAttr>(name);
  return attribute ? attribute.getValue() : byDefault;
}

FailureOr<FloatAttr> Marker::getF32(StringRef name, double byDefault) const {
  APFloat value(getFloat(name, byDefault));
  bool finite = value.isFinite(), losesInfo;
  value.convert(APFloat::IEEEsingle(), APFloat::rmNearestTiesToEven,
                &losesInfo);
  if (!value.isFinite())
    return emitError() << "attribute '" << name
                       << (finite ? "' is too large for f32"
                                  : "' must be a finite number");
  return FloatAttr::get(Float32Type::get(getContext()), value);
}

FailureOr<unsigned> Marker::getWord(StringRef name,
                                    ArrayRef<StringRef> accepted,
                                    StringRef byDefault) const {
  StringRef word = getString(name, byDefault);
  const auto *found = llvm::find(accepted, word);
  if (found == accepted.end())
    return emitError() << "attribute '" << name << "' is \"" << word
                       << "\", accepted are: " << llvm::join(accepted, ", ");
  return static_cast<unsigned>(found - accepted.begin());
}

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

bool moe::isMarkerFloat(Type type) {
  return type.isF32() || type.isBF16() || type.isF16();
}

void MarkerShapes::bind(StringRef letter, int64_t size) {
  for (auto &[known, value] : sizes)
    if (known == letter) {
      if (ShapedType::isDynamic(value))
        value = size;
      return;
    }
  sizes.emplace_back(letter, size);
}

int64_t MarkerShapes::get(StringRef letter) const {
  for (auto [known, value] : sizes)
    if (known == letter)
      return value;
  return ShapedType::kDynamic;
}

namespace {
/// A dimension of the contract: factor · letter + offset.
struct DimTerm {
  int64_t factor = 1;
  StringRef letter;
  int64_t offset = 0;

  explicit DimTerm(StringRef text) : letter(text) {
    if (letter.consume_front("2"))
      factor = 2;
    if (letter.consume_back("+1"))
      offset = 1;
  }
  int64_t evaluate(int64_t size) const {
    return ShapedType::isDynamic(size) ? size : factor * size + offset;
  }
  /// The letter's size where the dimension is `size`; nothing if there is none.
  std::optional<int64_t> solve(int64_t size) const {
    if (ShapedType::isDynamic(size))
      return size;
    if (size < offset || (size - offset) % factor)
      return std::nullopt;
    return (size - offset) / factor;
  }
};
} // namespace

static std::string formatSizes(ArrayRef<int64_t> sizes) {
  return "[" +
         llvm::join(llvm::map_range(sizes,
                                    [](int64_t size) {
                                      return ShapedType::isDynamic(size)
                                                 ? std::string("?")
                                                 : std::to_string(size);
                                    }),
                    ", ") +
         "]";
}

LogicalResult MarkerShapes::match(const Twine &what, Type type,
                                  ArrayRef<StringRef> dims, StringRef elements,
                                  llvm::function_ref<bool(Type)> isElement) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  bool fits = tensor && tensor.getRank() == static_cast<int64_t>(dims.size()) &&
              isElement(tensor.getElementType());
  SmallVector<int64_t> expected;
  for (auto [i, dim] : llvm::enumerate(dims)) {
    DimTerm term(dim);
    int64_t known = term.evaluate(get(term.letter));
    expected.push_back(known);
    if (!fits)
      continue;
    int64_t size = tensor.getDimSize(i);
    std::optional<int64_t> letter = term.solve(size);
    fits = letter && (ShapedType::isDynamic(size) ||
                      ShapedType::isDynamic(known) || size == known);
    if (fits)
      bind(term.letter, *letter);
  }
  if (fits)
    return success();
  return marker.emitError() << what << " must be [" << llvm::join(dims, ", ")
                            << "] = " << formatSizes(expected) << " of "
                            << elements << ", got " << type;
}

FailureOr<Value> moe::castToDeclared(OpBuilder &builder, const Marker &marker,
                                     StringRef name, Value value,
                                     Type declared) {
  if (value.getType() == declared)
    return value;
  auto from = cast<RankedTensorType>(value.getType());
  auto to = dyn_cast<RankedTensorType>(declared);
  if (!to || to.getElementType() != from.getElementType() ||
      failed(verifyCompatibleShape(from, to)))
    return marker.emitError()
           << "result '" << name << "' is declared as " << declared
           << ", but the operation gives " << from;
  for (auto [known, claimed] : llvm::zip(from.getShape(), to.getShape()))
    if (ShapedType::isDynamic(known) && ShapedType::isStatic(claimed))
      return marker.emitError()
             << "result '" << name << "' is declared as " << declared
             << ", but its operands give only " << from
             << ": the declaration claims a size that nobody checks";
  return tensor::CastOp::create(builder, marker.getLoc(), to, value)
      .getResult();
}
