// !moe.plan<SxTxE, rows = R> and !moe.plan<SxTxE, rows max R>.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "moe/IR/MoE.h"

using namespace mlir;
using namespace mlir::moe;

// The bound cannot be spelled `rows <= R`: the lexer of dialect types balances
// `<` and `>` before it calls the type's parser.
Type PlanType::parse(AsmParser &parser) {
  SMLoc loc = parser.getCurrentLocation();
  SmallVector<int64_t> dims, rows;
  bool exact = true;
  if (parser.parseLess() ||
      parser.parseDimensionList(dims, /*allowDynamic=*/true,
                                /*withTrailingX=*/false) ||
      parser.parseComma() || parser.parseKeyword("rows"))
    return {};
  if (failed(parser.parseOptionalEqual())) {
    exact = false;
    if (parser.parseKeyword("max"))
      return {};
  }
  // A dimension list of length one reads an integer or `?`.
  if (parser.parseDimensionList(rows, true, false) || parser.parseGreater())
    return {};
  if (dims.size() != 3 || rows.size() != 1) {
    parser.emitError(loc, "expected <SxTxE, rows = R> or <SxTxE, rows max R>");
    return {};
  }
  return parser.getChecked<PlanType>(parser.getContext(), dims[0], dims[1],
                                     dims[2], rows[0], exact);
}

void PlanType::print(AsmPrinter &printer) const {
  printer << "<";
  printer.printDimensionList({getSeqs(), getTokens(), getExperts()});
  printer << ", rows " << (getExact() ? "= " : "max ");
  printer.printDimensionList({getRows()});
  printer << ">";
}

LogicalResult PlanType::verify(function_ref<InFlightDiagnostic()> emitError,
                               int64_t seqs, int64_t tokens, int64_t experts,
                               int64_t rows, bool exact) {
  if (ShapedType::isDynamic(experts) || experts < 1)
    return emitError() << "PLAN-1: the number of experts must be static and "
                          "positive";
  auto tooMany = [&](Twine what) {
    return emitError() << "PLAN-3: " << what
                       << " must be below 2^31, because plan fields are i32";
  };
  constexpr int64_t limit = int64_t(1) << 31;
  if (ShapedType::isStatic(rows) && rows >= limit)
    return tooMany("rows = " + Twine(rows));
  int64_t pairs = experts;
  for (int64_t size : {seqs, tokens}) {
    if (ShapedType::isDynamic(size) || size == 0)
      return success();
    if (llvm::MulOverflow(pairs, size, pairs) || pairs >= limit)
      return tooMany("S*T*E");
  }
  if (exact && ShapedType::isStatic(rows) && rows > pairs)
    return emitError() << "PLAN-2: " << rows << " rows are more than the "
                       << pairs << " pairs of tokens and experts";
  return success();
}

RankedTensorType PlanType::getFieldType(Field field) const {
  auto i32 = IntegerType::get(getContext(), 32);
  switch (field) {
  case Field::ExpertOffsets:
    return RankedTensorType::get({getExperts() + 1}, i32);
  case Field::TokenOffsets: {
    int64_t tokens = getTokens();
    int64_t ends = ShapedType::isDynamic(tokens) ? tokens : tokens + 1;
    return RankedTensorType::get({getSeqs(), ends}, i32);
  }
  case Field::RowToken:
  case Field::TokenRow:
    return RankedTensorType::get({getRows()}, i32);
  }
  llvm_unreachable("unknown field");
}

SmallVector<Type> PlanType::getFieldTypes() const {
  return llvm::map_to_vector(
      kFields, [&](Field field) -> Type { return getFieldType(field); });
}
