// The functions for graphs that the emulator's driver lacks, by the types of the
// driver's public interface: what a stream captures is counted and not run.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>

typedef struct CUstream_st *Stream;
typedef struct CUgraph_st *Graph;
typedef struct CUgraphExec_st *Executable;

// Handles that do not fit 32 bits.
static const Graph kGraph = (Graph)0x123456789000;
static const Executable kExecutable = (Executable)0x23456789a000;
enum { kInvalid = 1, kRelaxed = 2 };
static Stream capturing;
static int held, graphs;

int cuStreamBeginCapture_v2(Stream stream, int mode) {
  if (!stream || capturing || mode != kRelaxed)
    return kInvalid;
  capturing = stream;
  held = 0;
  return 0;
}

int cuStreamEndCapture(Stream stream, Graph *graph) {
  // One graph at a time: the last one must have been given back.
  if (stream != capturing || !held || graphs)
    return kInvalid;
  capturing = NULL;
  *graph = kGraph;
  ++graphs;
  return 0;
}

int cuGraphInstantiateWithFlags(Executable *out, Graph graph,
                                unsigned long long flags) {
  if (graph != kGraph || flags)
    return kInvalid;
  *out = kExecutable;
  return 0;
}

int cuGraphLaunch(Executable executable, Stream stream) {
  return executable == kExecutable && stream && !capturing ? 0 : kInvalid;
}

int cuGraphExecDestroy(Executable executable) {
  return executable == kExecutable ? 0 : kInvalid;
}

int cuGraphDestroy(Graph graph) {
  --graphs;
  return graph == kGraph ? 0 : kInvalid;
}

int cuLaunchKernel(void *function, unsigned gridX, unsigned gridY,
                   unsigned gridZ, unsigned blockX, unsigned blockY,
                   unsigned blockZ, unsigned shared, Stream stream,
                   void **arguments, void **extra) {
  int (*next)(void *, unsigned, unsigned, unsigned, unsigned, unsigned,
              unsigned, unsigned, Stream, void **, void **) =
      dlsym(RTLD_NEXT, "cuLaunchKernel");
  if (capturing && stream == capturing)
    return ++held, 0;
  return next(function, gridX, gridY, gridZ, blockX, blockY, blockZ, shared,
              stream, arguments, extra);
}

int cuLaunchKernelEx(const void *config, void *function, void **arguments,
                     void **extra) {
  int (*next)(const void *, void *, void **, void **) =
      dlsym(RTLD_NEXT, "cuLaunchKernelEx");
  if (capturing)
    return ++held, 0;
  return next(config, function, arguments, extra);
}
