// RUN: split-file %s %t
// RUN: moe-opt %t/meaning.mlir -split-input-file -verify-diagnostics -moe-set-scope
// RUN: moe-opt %t/bounds.mlir -split-input-file -verify-diagnostics -moe-set-scope="floor=3 cap=1"
// RUN: moe-opt %t/cap.mlir -split-input-file -verify-diagnostics -moe-set-scope="cap=5"
// RUN: not moe-opt %t/cap.mlir -moe-set-scope="scope=batch" 2>&1 | FileCheck %s --check-prefix=SCOPE
// RUN: not moe-opt %t/cap.mlir -moe-set-scope="scope=token cap=2" 2>&1 | FileCheck %s --check-prefix=TOKEN
// RUN: not moe-opt %t/cap.mlir -moe-set-scope="cap=-2" 2>&1 | FileCheck %s --check-prefix=NEGATIVE
// RUN: not moe-opt %t/named.mlir -moe-set-scope="layers=a,c*" 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: not moe-opt %t/named.mlir -moe-set-scope="layers=[" 2>&1 | FileCheck %s --check-prefix=GLOB
// RUN: not moe-opt %t/cap.mlir -moe-set-scope="layers=a" 2>&1 | FileCheck %s --check-prefix=UNNAMED
// RUN: not moe-opt %t/named.mlir -moe-set-scope="cap=1" -o %t/unwritten 2>/dev/null
// RUN: not ls %t/unwritten
// NEGATIVE: moe-set-scope: cap = -2 is no number of experts; give 0 or more, or none

// SCOPE: error: moe-set-scope: scope must be token or sequence, got 'batch'
// TOKEN: error: moe-set-scope: floor and cap belong to scope=sequence
// NONE: error: moe-set-scope: no layer matches 'c*'; the layers are 'a', 'b'
// GLOB: error: moe-set-scope: '[' is no pattern of layer names
// UNNAMED: error: moe-set-scope: this route has no layer name

//--- meaning.mlir
func.func @rank2(%l: tensor<?x4xf32>) {
  // expected-error @+1 {{moe-set-scope: logits [T, E] do not say which tokens form a sequence; import the layer with logits [S, T, E]}}
  %p, %g = moe.route %l top 2 scope = token score = softmax normalize = none
      : tensor<?x4xf32>
  return
}
// -----
func.func @raw(%l: tensor<?x?x4xf32>) {
  // expected-error @+1 {{moe-set-scope: raw logits of different tokens are not comparable, so a sequence cannot rank them; use score = softmax, or set rank_logits}}
  %p, %g = moe.route %l top 2 scope = token score = identity
      normalize = softmax : tensor<?x?x4xf32>
  return
}
// -----
// expected-error @+1 {{moe-set-scope: the module has no moe.route to set the scope of}}
module {
}

//--- bounds.mlir
// The first of two errors is of the floor.
func.func @floor(%l: tensor<?x?x4xf32>) {
  // expected-error @+1 {{moe-set-scope: floor = 3 is more than k = 2, the experts per token on average; give floor <= 2}}
  %p, %g = moe.route %l top 2 scope = token score = softmax normalize = none
      : tensor<?x?x4xf32>
  return
}
// -----
func.func @cap(%l: tensor<?x?x4xf32>) {
  // expected-error @+1 {{moe-set-scope: cap = 1 is less than k = 3, the experts per token on average; give cap >= 3}}
  %p, %g = moe.route %l top 3 scope = token score = softmax normalize = none
      : tensor<?x?x4xf32>
  return
}

//--- cap.mlir
func.func @candidates(%l: tensor<?x?x4xf32>) {
  // expected-error @+1 {{moe-set-scope: cap = 5 is more than the 4 experts that a token may choose; give cap <= 4, or none}}
  %p, %g = moe.route %l top 2 scope = token score = softmax normalize = none
      : tensor<?x?x4xf32>
  return
}

//--- named.mlir
func.func @named(%l: tensor<?x?x4xf32>) {
  %p, %g = moe.route %l top 1 scope = token score = softmax normalize = none
      {layer = "a"} : tensor<?x?x4xf32>
  %q, %h = moe.route %l top 2 scope = token score = softmax normalize = none
      {layer = "b"} : tensor<?x?x4xf32>
  return
}
