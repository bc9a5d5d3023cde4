// moe-set-scope: sets over what chosen layers spend their budget.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "moe/IR/MoE.h"
#include "moe/Passes.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/GlobPattern.h"

namespace mlir::moe {
#define GEN_PASS_DEF_SETSCOPE
#include "moe/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {
struct SetScope : moe::impl::SetScopeBase<SetScope> {
  using SetScopeBase::SetScopeBase;

  void runOnOperation() override {
    if (failed(checkOptions()))
      return signalPassFailure();
    FailureOr<SmallVector<RouteOp>> routes = chooseRoutes();
    if (failed(routes))
      return signalPassFailure();
    // All or none: a model in which some layers are changed and some refused
    // would be neither the old nor the new one.
    bool refused = false;
    for (RouteOp route : *routes)
      refused |= failed(check(route));
    if (refused)
      return signalPassFailure();
    for (RouteOp route : *routes)
      apply(route);
  }

  bool toSequence() const { return scope == "sequence"; }
  /// Options of the pass: -1 is "not given".
  std::optional<int64_t> newFloor() const {
    return floor < 0 ? std::nullopt : std::optional<int64_t>(floor);
  }
  std::optional<int64_t> newCap() const {
    return cap < 0 ? std::nullopt : std::optional<int64_t>(cap);
  }
  /// What the route will have: as given, else as it is.
  int64_t floorOf(RouteOp route) const {
    return newFloor().value_or(route.getFloor());
  }
  int64_t capOf(RouteOp route) const {
    return newCap().value_or(route.getEffectiveCap());
  }

  InFlightDiagnostic refuse() {
    return getOperation()->emitError("moe-set-scope: ");
  }

  LogicalResult checkOptions() {
    if (scope != "token" && scope != "sequence")
      return refuse() << "scope must be token or sequence, got '" << scope
                      << "'";
    for (const auto *bound : {&floor, &cap})
      if (bound->getValue() < -1)
        return refuse() << bound->getArgStr() << " = " << bound->getValue()
                        << " is no number of experts; give 0 or more, or none";
    if (!toSequence() && (newFloor() || newCap()))
      return refuse() << "floor and cap belong to scope=sequence; in "
                         "scope=token every token gets k experts";
    return success();
  }

  FailureOr<SmallVector<RouteOp>> chooseRoutes();
  LogicalResult check(RouteOp route);
  void apply(RouteOp route);
};
} // namespace

/// The quoted names of all layers, for a message.
static std::string listLayers(MutableArrayRef<RouteOp> routes) {
  return llvm::join(
      llvm::map_range(
          routes,
          [](RouteOp route) { return ("'" + *route.getLayer() + "'").str(); }),
      ", ");
}

FailureOr<SmallVector<RouteOp>> SetScope::chooseRoutes() {
  SmallVector<RouteOp> routes, chosen;
  getOperation()->walk([&](RouteOp route) { routes.push_back(route); });
  if (routes.empty()) {
    refuse() << "the module has no moe.route to set the scope of";
    return failure();
  }
  if (layers.empty())
    return routes;
  SmallVector<llvm::GlobPattern> globs;
  for (const std::string &layer : layers) {
    llvm::Expected<llvm::GlobPattern> glob = llvm::GlobPattern::create(layer);
    if (!glob) {
      refuse() << "'" << layer << "' is no pattern of layer names: "
               << llvm::toString(glob.takeError());
      return failure();
    }
    globs.push_back(std::move(*glob));
  }
  SmallVector<bool> matched(globs.size());
  for (RouteOp route : routes) {
    if (!route.getLayer()) {
      route.emitError("moe-set-scope: this route has no layer name, so that "
                      "layers= can neither choose it nor leave it; write "
                      "{layer = \"<name>\"} on it, or give no layers=");
      return failure();
    }
    bool any = false;
    for (auto [i, glob] : llvm::enumerate(globs))
      if (glob.match(*route.getLayer()))
        any = matched[i] = true;
    if (any)
      chosen.push_back(route);
  }
  for (auto [i, layer] : llvm::enumerate(layers))
    if (!matched[i]) {
      refuse() << "no layer matches '" << layer << "'; the layers are "
               << listLayers(routes);
      return failure();
    }
  return chosen;
}

/// What the verifier of moe.route would refuse, and what a change of scope
/// would silently change, with what to do about it.
LogicalResult SetScope::check(RouteOp route) {
  if (!toSequence())
    return success();
  int64_t k = route.getK(), candidates = route.getCandidatesPerToken();
  if (route.getLogits().getType().getRank() == 2)
    return route.emitError(
        "moe-set-scope: logits [T, E] do not say which tokens form a sequence; "
        "import the layer with logits [S, T, E]");
  if (route.getScore() == Score::Identity && !route.getRankLogits())
    return route.emitError(
        "moe-set-scope: raw logits of different tokens are not comparable, so "
        "a sequence cannot rank them; use score = softmax, or set rank_logits "
        "if the router was trained to make them so");
  if (floorOf(route) > k)
    return route.emitError("moe-set-scope: floor = ")
           << floorOf(route) << " is more than k = " << k
           << ", the experts per token on average; give floor <= " << k;
  if (capOf(route) < k)
    return route.emitError("moe-set-scope: cap = ")
           << capOf(route) << " is less than k = " << k
           << ", the experts per token on average; give cap >= " << k;
  if (capOf(route) > candidates)
    return route.emitError("moe-set-scope: cap = ")
           << capOf(route) << " is more than the " << candidates
           << " experts that a token may choose; give cap <= " << candidates
           << ", or none";
  return success();
}

void SetScope::apply(RouteOp route) {
  Scope target = toSequence() ? Scope::Sequence : Scope::Token;
  if (route.getScope() != target)
    ++numChanged;
  if (target == Scope::Token) {
    if (route.getFloor() != 0 || route.getCap())
      route.emitRemark("moe-set-scope: floor and cap are dropped; in "
                       "scope = token every token gets k experts");
    route.setFloor(0);
    route.removeCapAttr();
  }
  route.setScope(target);
  if (newFloor())
    route.setFloor(*newFloor());
  if (newCap())
    route.setCap(*newCap());
}
