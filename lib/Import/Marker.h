// A marker call: how a front end says "this is an operation of an MoE layer".
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_LIB_IMPORT_MARKER_H
#define MOE_LIB_IMPORT_MARKER_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "moe/IR/MoE.h"

namespace mlir::moe {

enum class MarkerAttributeKind { Integer, Float, String, Bool };

/// One attribute that a marker accepts. An attribute that is not required has a
/// default, which the reader of the attribute gives.
struct MarkerAttribute {
  StringLiteral name;
  MarkerAttributeKind kind;
  bool required;
};

/// One operand that a marker accepts.
struct MarkerOperand {
  StringLiteral name;
  bool required;
};

/// What the marker `op` accepts.
struct MarkerSpec {
  StringLiteral op;
  ArrayRef<MarkerAttribute> attributes;
  ArrayRef<MarkerOperand> operands;
  unsigned results;
};

/// A marker call that obeys its spec: every attribute is known and of its kind,
/// every operand is known, none of the required ones is missing.
class Marker {
public:
  /// The name of the marker op that `declaration` stands for. Emits an error at
  /// `call` where the dictionary has no `op`, or its version is not 1.
  static FailureOr<StringRef> readOp(func::CallOp call,
                                     func::FuncOp declaration);

  /// Reads and checks the whole call; errors are at the call.
  static FailureOr<Marker> read(func::CallOp call, func::FuncOp declaration,
                                const MarkerSpec &spec);

  func::CallOp getCall() const { return call; }
  Location getLoc() const { return call->getLoc(); }
  MLIRContext *getContext() const { return call->getContext(); }

  /// The operand of that name; null where the call has none.
  Value getOperand(StringRef name) const;

  bool hasAttribute(StringRef name) const { return attributes.contains(name); }
  int64_t getInteger(StringRef name, int64_t byDefault = 0) const;
  double getFloat(StringRef name, double byDefault = 0.0) const;
  bool getBool(StringRef name, bool byDefault = false) const;
  StringRef getString(StringRef name, StringRef byDefault = "") const;

  /// An attribute of f64 as f32, rounded to nearest even. An error where it is
  /// finite and its f32 is not.
  FailureOr<FloatAttr> getF32(StringRef name, double byDefault) const;

  /// A string attribute as one of the words `accepted`; the result is its
  /// position.
  FailureOr<unsigned> getWord(StringRef name, ArrayRef<StringRef> accepted,
                              StringRef byDefault = "") const;

  /// A string attribute as an enum of the dialect.
  template <typename EnumT>
  FailureOr<EnumT> getEnum(StringRef name, unsigned maxValue,
                           StringRef (*stringify)(EnumT),
                           StringRef byDefault = "") const {
    SmallVector<StringRef> accepted;
    for (unsigned value = 0; value <= maxValue; ++value)
      accepted.push_back(stringify(static_cast<EnumT>(value)));
    FailureOr<unsigned> word = getWord(name, accepted, byDefault);
    if (failed(word))
      return failure();
    return static_cast<EnumT>(*word);
  }

  /// An error at the call that starts with the marker's symbol.
  InFlightDiagnostic emitError() const;

private:
  Marker(func::CallOp call, DictionaryAttr attributes)
      : call(call), attributes(attributes) {}

  LogicalResult checkAttributes(const MarkerSpec &spec) const;
  LogicalResult readOperands(const MarkerSpec &spec);

  func::CallOp call;
  DictionaryAttr attributes;
  SmallVector<std::pair<StringRef, Value>> operands;
};

/// Sizes that the letters of the contract stand for in one marker call, bound
/// by the first tensor that knows them.
class MarkerShapes {
public:
  explicit MarkerShapes(const Marker &marker) : marker(marker) {}

  /// States that `letter` is `size`, which may be dynamic.
  void bind(StringRef letter, int64_t size);
  /// The size of a letter; dynamic where no tensor knows it.
  int64_t get(StringRef letter) const;

  /// Checks that `what` is a tensor of those dimensions: letters, "2I" for
  /// twice I, "E+1" for one more than E. Binds letters that were unknown.
  /// `isElement` says which element types may stand, `elements` names them.
  LogicalResult match(const Twine &what, Type type, ArrayRef<StringRef> dims,
                      StringRef elements,
                      llvm::function_ref<bool(Type)> isElement);

private:
  const Marker &marker;
  SmallVector<std::pair<StringRef, int64_t>> sizes;
};

/// f32, bf16 or f16.
bool isMarkerFloat(Type type);

/// `value` as the type that the marker declares for its result `name`, by a
/// tensor.cast that only forgets sizes. An error where the types differ in more
/// than that, or where the declaration claims a size that nobody knows.
FailureOr<Value> castToDeclared(OpBuilder &builder, const Marker &marker,
                                StringRef name, Value value, Type declared);

/// The plan that the operands `expert_offsets`, `row_token`, `token_offsets`
/// and `token_row` are the fields of; an error where they are those of none.
FailureOr<TypedValue<PlanType>> readPlan(const Marker &marker);

/// Replaces a `route` marker by `moe.route` and reads of its plan.
LogicalResult importRoute(func::CallOp call, func::FuncOp declaration);
/// Replaces a `plan_from_choice` marker by `moe.plan_from_choice`.
LogicalResult importPlanFromChoice(func::CallOp call, func::FuncOp declaration);
/// Replaces an `experts` marker by dispatch, two grouped matmuls and combine.
LogicalResult importExperts(func::CallOp call, func::FuncOp declaration);
/// Replaces a `grouped_matmul` marker by `moe.grouped_matmul`.
LogicalResult importGroupedMatmul(func::CallOp call, func::FuncOp declaration);

} // namespace mlir::moe

#endif // MOE_LIB_IMPORT_MARKER_H
