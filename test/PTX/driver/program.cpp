// A program on the driver interface, built with the CUDA headers, that calls
// every function the emulator's driver has. Prints "FUNCTION: ERROR" and exits
// with 3 at the first call that fails, so that a test can make each one fail.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Kernels.h"

#include <cuda.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#define CALL(FUNCTION, ...) check(FUNCTION(__VA_ARGS__), #FUNCTION)
#define EXPECT(CONDITION)                                                      \
  if (!(CONDITION)) {                                                          \
    std::fprintf(stderr, "line %d: not so: %s\n", __LINE__, #CONDITION);       \
    std::exit(4);                                                              \
  }

static void check(CUresult result, const char *function) {
  if (result == CUDA_SUCCESS)
    return;
  const char *name = nullptr;
  if (cuGetErrorName(result, &name) != CUDA_SUCCESS || !name)
    name = "?";
  std::printf("%s: %s\n", function, name);
  std::exit(3);
}

static void testDevice() {
  CALL(cuInit, 0);
  int number = 0;
  CALL(cuDriverGetVersion, &number);
  EXPECT(number >= 12000);
  CALL(cuDeviceGetCount, &number);
  EXPECT(number == 1);
  CUdevice device = -1;
  CALL(cuDeviceGet, &device, 0);
  char name[128];
  CALL(cuDeviceGetName, name, sizeof name, device);
  EXPECT(std::strstr(name, "emulator"));
  CUuuid uuid;
  CALL(cuDeviceGetUuid, &uuid, device);
  size_t bytes = 0;
  CALL(cuDeviceTotalMem, &bytes, device);
  EXPECT(bytes > 0);
  CALL(cuDeviceGetAttribute, &number, CU_DEVICE_ATTRIBUTE_WARP_SIZE, device);
  EXPECT(number == 32);
  const char *text = nullptr;
  CALL(cuGetErrorName, CUDA_ERROR_INVALID_VALUE, &text);
  EXPECT(!std::strcmp(text, "CUDA_ERROR_INVALID_VALUE"));
  CALL(cuGetErrorString, CUDA_ERROR_INVALID_VALUE, &text);
  EXPECT(cuDeviceGet(&device, 5) == CUDA_ERROR_INVALID_DEVICE);
  void *function = nullptr;
  CUdriverProcAddressQueryResult found;
  CALL(cuGetProcAddress, "cuMemAlloc", &function, CUDA_VERSION, 0, &found);
  EXPECT(function == reinterpret_cast<void *>(&cuMemAlloc));
  EXPECT(found == CU_GET_PROC_ADDRESS_SUCCESS);
  CALL(cuGetProcAddress, "cuNoSuchCall", &function, CUDA_VERSION, 0, &found);
  EXPECT(!function && found == CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
}

static void testContexts() {
  CUcontext context = nullptr, other = nullptr, popped = nullptr;
  CUdeviceptr pointer = 0;
  EXPECT(cuMemAlloc(&pointer, 4) == CUDA_ERROR_INVALID_CONTEXT);
  CALL(cuCtxCreate, &context, nullptr, 0, 0);
  CALL(cuCtxGetCurrent, &other);
  EXPECT(other == context);
  unsigned flags = 1;
  CALL(cuCtxGetFlags, &flags);
  EXPECT(flags == 0);
  CALL(cuCtxGetApiVersion, context, &flags);
  CUdevice device = -1;
  CALL(cuCtxGetDevice, &device);
  CALL(cuCtxPushCurrent, context);
  CALL(cuCtxPopCurrent, &popped);
  EXPECT(popped == context);
  int least = 9, greatest = 9;
  CALL(cuCtxGetStreamPriorityRange, &least, &greatest);
  EXPECT(least >= greatest);
  size_t limit = 0;
  CALL(cuCtxSetLimit, CU_LIMIT_MALLOC_HEAP_SIZE, 1 << 20);
  CALL(cuCtxGetLimit, &limit, CU_LIMIT_MALLOC_HEAP_SIZE);
  EXPECT(limit == 1 << 20);
  CALL(cuCtxSynchronize, );
  CALL(cuCtxDestroy, context);
  EXPECT(cuCtxSetCurrent(context) == CUDA_ERROR_INVALID_CONTEXT);

  int active = 1;
  CALL(cuDevicePrimaryCtxSetFlags, 0, 4);
  CALL(cuDevicePrimaryCtxRetain, &context, 0);
  CALL(cuDevicePrimaryCtxGetState, 0, &flags, &active);
  EXPECT(active == 1 && flags == 4);
  CALL(cuDevicePrimaryCtxRelease, 0);
  CALL(cuDevicePrimaryCtxRetain, &context, 0);
  CALL(cuDevicePrimaryCtxReset, 0);
  CALL(cuDevicePrimaryCtxRetain, &context, 0);
  CALL(cuCtxSetCurrent, context);
}

static void testAllocation() {
  CUdeviceptr a = 0, b = 0, base = 0;
  size_t free = 0, total = 0, pitch = 0, size = 0;
  CALL(cuMemAlloc, &a, 1000);
  EXPECT(a % 256 == 0);
  CALL(cuMemGetInfo, &free, &total);
  EXPECT(free + 1000 <= total);
  CALL(cuMemGetAddressRange, &base, &size, a + 100);
  EXPECT(base == a && size == 1000);
  CUmemorytype type;
  CALL(cuPointerGetAttribute, &type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, a);
  EXPECT(type == CU_MEMORYTYPE_DEVICE);
  CALL(cuMemFree, a);
  EXPECT(cuMemFree(a) == CUDA_ERROR_INVALID_VALUE);
  const size_t huge = size_t{1} << 60;
  EXPECT(cuMemAlloc(&a, huge) == CUDA_ERROR_OUT_OF_MEMORY);
  CALL(cuMemAllocPitch, &a, &pitch, 100, 3, 4);
  EXPECT(pitch >= 100);
  CALL(cuMemFree, a);
  CALL(cuMemAllocAsync, &b, 64, nullptr);
  CALL(cuMemFreeAsync, b, nullptr);
  // Behind a call that succeeds, so that a failure can be injected into it.
  CALL(cuMemAllocManaged, &a, 64, CU_MEM_ATTACH_GLOBAL);
  CUdeviceptr none;
  EXPECT(cuMemAllocManaged(&none, huge, CU_MEM_ATTACH_GLOBAL) ==
         CUDA_ERROR_OUT_OF_MEMORY);
  *reinterpret_cast<int *>(a) = 5;
  CALL(cuMemFree, a);
  EXPECT(cuMemAllocManaged(&a, huge, CU_MEM_ATTACH_GLOBAL) ==
         CUDA_ERROR_OUT_OF_MEMORY);
  void *host = nullptr;
  CALL(cuMemAllocHost, &host, 64);
  void *nothing = nullptr;
  EXPECT(cuMemAllocHost(&nothing, huge) == CUDA_ERROR_OUT_OF_MEMORY);
  CALL(cuMemHostGetDevicePointer, &a, host, 0);
  EXPECT(a == reinterpret_cast<CUdeviceptr>(host));
  CALL(cuMemFreeHost, host);
  EXPECT(cuMemAllocHost(&host, huge) == CUDA_ERROR_OUT_OF_MEMORY);
  CALL(cuMemHostAlloc, &host, 64, 0);
  CALL(cuMemFreeHost, host);
  std::vector<float> registered(64);
  CALL(cuMemHostRegister, registered.data(), 256, 0);
  CALL(cuMemHostUnregister, registered.data());
}

static void testCopies() {
  std::vector<unsigned> in(64), out(64);
  for (unsigned i = 0; i < 64; ++i)
    in[i] = i;
  CUdeviceptr a = 0, b = 0;
  CALL(cuMemAlloc, &a, 256);
  CALL(cuMemAlloc, &b, 256);
  auto unified = [](auto *pointer) {
    return reinterpret_cast<CUdeviceptr>(pointer);
  };
  CALL(cuMemcpyHtoD, a, in.data(), 256);
  CALL(cuMemcpyDtoD, b, a, 256);
  CALL(cuMemcpyDtoH, out.data(), b, 256);
  EXPECT(in == out);
  CALL(cuMemsetD8, b, 1, 256);
  CALL(cuMemcpyHtoDAsync, a, in.data(), 128, nullptr);
  CALL(cuMemcpyDtoDAsync, b, a, 128, nullptr);
  CALL(cuMemcpyDtoHAsync, out.data(), b, 256, nullptr);
  EXPECT(out[31] == 31 && out[32] == 0x01010101);
  CALL(cuMemcpy, unified(out.data()), a, 256);
  EXPECT(in == out);
  CALL(cuMemcpyAsync, b, unified(in.data()), 256, nullptr);
  CALL(cuMemsetD16, b, 0x0203, 2);
  CALL(cuMemsetD32, b + 4, 7, 1);
  CALL(cuMemsetD8Async, b + 8, 9, 4, nullptr);
  CALL(cuMemsetD16Async, b + 12, 9, 2, nullptr);
  CALL(cuMemsetD32Async, b + 16, 9, 1, nullptr);
  CALL(cuMemsetD2D8, b + 128, 32, 1, 4, 2);
  CALL(cuMemsetD2D16, b + 132, 32, 2, 2, 2);
  CALL(cuMemsetD2D32, b + 136, 32, 3, 1, 2);
  CALL(cuMemcpyDtoH, out.data(), b, 256);
  EXPECT(out[0] == 0x02030203 && out[1] == 7 && out[2] == 0x09090909);
  EXPECT(out[3] == 0x00090009 && out[4] == 9 && out[40] == 0x01010101);
  EXPECT(out[41] == 0x00020002 && out[42] == 3);
  CUDA_MEMCPY2D copy = {};
  copy.srcMemoryType = CU_MEMORYTYPE_HOST;
  copy.srcHost = in.data();
  copy.srcPitch = 64;
  copy.dstMemoryType = CU_MEMORYTYPE_DEVICE;
  copy.dstDevice = b;
  copy.dstPitch = 32;
  copy.WidthInBytes = 16;
  copy.Height = 3;
  CALL(cuMemcpy2D, &copy);
  CALL(cuMemcpy2DAsync, &copy, nullptr);
  CALL(cuMemcpyDtoH, out.data(), b, 256);
  EXPECT(out[8] == 16 && out[16] == 32 && out[19] == 35);
  EXPECT(cuMemcpyHtoD(a + 8, in.data(), 256) == CUDA_ERROR_INVALID_VALUE);
  CALL(cuMemFree, a);
  CALL(cuMemFree, b);
}

static int calls = 0;

static void testStreams() {
  CUstream stream = nullptr, urgent = nullptr;
  CALL(cuStreamCreate, &stream, CU_STREAM_NON_BLOCKING);
  CALL(cuStreamCreateWithPriority, &urgent, 0, -1);
  unsigned flags = 0;
  CALL(cuStreamGetFlags, stream, &flags);
  EXPECT(flags == CU_STREAM_NON_BLOCKING);
  int priority = 0;
  CALL(cuStreamGetPriority, urgent, &priority);
  EXPECT(priority == -1);
  CUcontext context = nullptr;
  CALL(cuStreamGetCtx, stream, &context);
  unsigned long long id = 0, otherId = 0;
  CALL(cuStreamGetId, stream, &id);
  cuStreamGetId(urgent, &otherId);
  EXPECT(context && id != otherId);
  CUevent begin = nullptr, end = nullptr;
  CALL(cuEventCreate, &begin, CU_EVENT_DEFAULT);
  CALL(cuEventCreate, &end, CU_EVENT_DEFAULT);
  CALL(cuEventRecord, begin, stream);
  CALL(cuEventRecordWithFlags, end, stream, 0);
  CALL(cuStreamWaitEvent, urgent, begin, 0);
  CALL(cuEventQuery, end);
  CALL(cuEventSynchronize, end);
  float milliseconds = -1;
  CALL(cuEventElapsedTime, &milliseconds, begin, end);
  EXPECT(milliseconds >= 0);
  CALL(
      cuLaunchHostFunc, stream, [](void *n) { ++*static_cast<int *>(n); },
      &calls);
  CALL(
      cuStreamAddCallback, stream,
      [](CUstream, CUresult, void *n) { ++*static_cast<int *>(n); }, &calls, 0);
  EXPECT(calls == 2);
  CALL(cuStreamQuery, stream);
  CALL(cuStreamSynchronize, stream);
  CALL(cuEventDestroy, begin);
  CALL(cuStreamDestroy, stream);
  EXPECT(cuStreamSynchronize(stream) == CUDA_ERROR_INVALID_HANDLE);
}

static void testFunctions(CUmodule module, CUfunction scale) {
  unsigned count = 0;
  CALL(cuModuleGetFunctionCount, &count, module);
  EXPECT(count == 6);
  std::vector<CUfunction> functions(count);
  CALL(cuModuleEnumerateFunctions, functions.data(), count, module);
  int value = 0;
  CALL(cuFuncGetAttribute, &value, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK,
       scale);
  EXPECT(value == 1024);
  CALL(cuFuncSetAttribute, scale,
       CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 65536);
  CALL(cuFuncSetCacheConfig, scale, CU_FUNC_CACHE_PREFER_L1);
  CUmodule owner = nullptr;
  CALL(cuFuncGetModule, &owner, scale);
  EXPECT(owner == module);
  const char *name = nullptr;
  CALL(cuFuncGetName, &name, scale);
  EXPECT(!std::strcmp(name, "scale"));
  size_t offset = 0, size = 0;
  CALL(cuFuncGetParamInfo, scale, 2, &offset, &size);
  EXPECT(offset == 12 && size == 4);
  int blocks = 0, threads = 0;
  CALL(cuOccupancyMaxActiveBlocksPerMultiprocessor, &blocks, scale, 256, 0);
  EXPECT(blocks == 8);
  CALL(cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags, &blocks, scale,
       256, 0, 0);
  CALL(cuOccupancyMaxPotentialBlockSize, &blocks, &threads, scale, nullptr, 0,
       0);
  EXPECT(threads == 1024);
  CALL(cuOccupancyMaxPotentialBlockSizeWithFlags, &blocks, &threads, scale,
       nullptr, 0, 0, 0);
  CALL(cuOccupancyAvailableDynamicSMemPerBlock, &size, scale, 2, 256);
  EXPECT(size > 65536);
}

static void testLaunches() {
  char log[256] = "x";
  CUmodule module = nullptr, broken = nullptr;
  CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER,
                            CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
  void *values[] = {log, reinterpret_cast<void *>(sizeof log)};
  EXPECT(cuModuleLoadDataEx(&broken, ".version 8.0\n.target sm_80\nfrob;", 2,
                            options, values) == CUDA_ERROR_INVALID_PTX);
  EXPECT(std::strstr(log, "line 3"));
  values[1] = reinterpret_cast<void *>(sizeof log);
  CALL(cuModuleLoadDataEx, &module, kKernels, 2, options, values);
  CALL(cuModuleUnload, module);
  CALL(cuModuleLoadData, &module, kKernels);
  CUfunction scale = nullptr;
  CALL(cuModuleGetFunction, &scale, module, "scale");
  EXPECT(cuModuleGetFunction(&scale, module, "none") == CUDA_ERROR_NOT_FOUND);
  testFunctions(module, scale);
  CUdeviceptr offset = 0, x = 0, count = 0;
  size_t bytes = 0;
  CALL(cuModuleGetGlobal, &offset, &bytes, module, "offset");
  EXPECT(bytes == 4);
  float three = 3, factor = 2;
  CALL(cuMemcpyHtoD, offset, &three, 4);
  std::vector<float> data(1000);
  for (unsigned i = 0; i < 1000; ++i)
    data[i] = static_cast<float>(i);
  CALL(cuMemAlloc, &x, 4000);
  CALL(cuMemcpyHtoD, x, data.data(), 4000);
  unsigned n = 1000;
  void *params[] = {&x, &n, &factor};
  CALL(cuLaunchKernel, scale, 4, 1, 1, 256, 1, 1, 0, nullptr, params, nullptr);
  CALL(cuMemcpyDtoH, data.data(), x, 4000);
  for (unsigned i = 0; i < 1000; ++i)
    EXPECT(data[i] == 2.0f * i + 3.0f);
  CUfunction reversed = nullptr, meet = nullptr;
  CALL(cuModuleGetFunction, &reversed, module, "reversed");
  size_t size = 8;
  void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, &x,
                   CU_LAUNCH_PARAM_BUFFER_SIZE, &size, CU_LAUNCH_PARAM_END};
  CALL(cuLaunchKernel, reversed, 2, 1, 1, 64, 1, 1, 256, nullptr, nullptr,
       extra);
  CALL(cuMemcpyDtoH, data.data(), x, 4000);
  EXPECT(data[0] == 129 && data[64] == 257 && data[128] == 259);
  EXPECT(cuLaunchKernel(scale, 0, 1, 1, 1, 1, 1, 0, nullptr, params, nullptr) ==
         CUDA_ERROR_INVALID_VALUE);
  CALL(cuModuleGetFunction, &meet, module, "meet");
  CALL(cuMemAlloc, &count, 4);
  CALL(cuMemsetD32, count, 0, 1);
  void *both[] = {&count, &x};
  CALL(cuLaunchCooperativeKernel, meet, 16, 1, 1, 1, 1, 1, 0, nullptr, both);
  std::vector<unsigned> met(32);
  CALL(cuMemcpyDtoH, met.data(), x, 128);
  EXPECT(met[16] == 15 && met[31] == 0);
  CALL(cuMemsetD32, count, 0, 1);
  EXPECT(cuLaunchCooperativeKernel(meet, 100000, 1, 1, 1, 1, 1, 0, nullptr,
                                   both) ==
         CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE);
  CALL(cuMemFree, x);
}

/// What one kernel wrote is defined for the next.
static void testTwoKernels() {
  CUmodule module = nullptr;
  CALL(cuModuleLoadData, &module, kKernels);
  CUfunction numbers = nullptr, reversed = nullptr;
  CALL(cuModuleGetFunction, &numbers, module, "numbers");
  CALL(cuModuleGetFunction, &reversed, module, "reversed");
  CUdeviceptr x = 0;
  CALL(cuMemAlloc, &x, 1024);
  void *params[] = {&x};
  CALL(cuLaunchKernel, numbers, 1, 1, 1, 64, 1, 1, 0, nullptr, params, nullptr);
  CALL(cuLaunchKernel, reversed, 1, 1, 1, 64, 1, 1, 256, nullptr, params,
       nullptr);
  unsigned data[64];
  CALL(cuMemcpyDtoH, data, x, 256);
  EXPECT(data[0] == 63 && data[63] == 0);
  CALL(cuMemFree, x);
}

static void testClusters() {
  CUmodule module = nullptr;
  CALL(cuModuleLoadData, &module, kClusterKernels);
  CUfunction clusters = nullptr;
  CALL(cuModuleGetFunction, &clusters, module, "clusters");
  CUlaunchAttribute attribute = {};
  attribute.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION;
  attribute.value.clusterDim = {4, 1, 1};
  CUlaunchConfig config = {8, 1, 1, 32, 1, 1, 0, nullptr, &attribute, 1};
  int number = 0;
  CALL(cuOccupancyMaxActiveClusters, &number, clusters, &config);
  EXPECT(number > 0);
  CALL(cuOccupancyMaxPotentialClusterSize, &number, clusters, &config);
  EXPECT(number == 8);
  CUdeviceptr x = 0;
  CALL(cuMemAlloc, &x, 32);
  void *params[] = {&x};
  CALL(cuLaunchKernelEx, &config, clusters, params, nullptr);
  unsigned ranks[8];
  CALL(cuMemcpyDtoH, ranks, x, 32);
  for (unsigned i = 0; i < 8; ++i)
    EXPECT(ranks[i] == i % 4);

  alignas(128) CUtensorMap map;
  cuuint64_t size[] = {8, 4}, strides[] = {32};
  cuuint32_t box[] = {4, 4}, steps[] = {1, 1};
  CUdeviceptr tensor = 0;
  CALL(cuMemAlloc, &tensor, 128);
  CALL(cuTensorMapEncodeTiled, &map, CU_TENSOR_MAP_DATA_TYPE_FLOAT32, 2,
       reinterpret_cast<void *>(tensor), size, strides, box, steps,
       CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_NONE,
       CU_TENSOR_MAP_L2_PROMOTION_NONE, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  CALL(cuTensorMapReplaceAddress, &map, reinterpret_cast<void *>(x));
  strides[0] = 30;
  EXPECT(cuTensorMapEncodeTiled(
             &map, CU_TENSOR_MAP_DATA_TYPE_FLOAT32, 2,
             reinterpret_cast<void *>(tensor), size, strides, box, steps,
             CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_NONE,
             CU_TENSOR_MAP_L2_PROMOTION_NONE,
             CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_ERROR_INVALID_VALUE);
  // 128 elements of 6 bits are 96 bytes of global memory.
  size[0] = box[0] = 128;
  size[1] = box[1] = 1;
  strides[0] = 96;
  auto packed = [&] {
    return cuTensorMapEncodeTiled(
        &map, CU_TENSOR_MAP_DATA_TYPE_16U6_ALIGN16B, 2,
        reinterpret_cast<void *>(tensor), size, strides, box, steps,
        CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
        CU_TENSOR_MAP_L2_PROMOTION_NONE, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  };
  EXPECT(packed() == CUDA_SUCCESS);
  box[0] = 64;
  EXPECT(packed() == CUDA_ERROR_INVALID_VALUE);
}

/// Errors of a kernel come back with the next call and stay.
static void testFailingKernel(const char *name) {
  CUmodule module = nullptr;
  CALL(cuModuleLoadData, &module, kKernels);
  CUfunction function = nullptr;
  CALL(cuModuleGetFunction, &function, module, name);
  CUdeviceptr x = 0;
  CALL(cuMemAlloc, &x, 256);
  void *params[] = {&x};
  CALL(cuLaunchKernel, function, 1, 1, 1, 64, 1, 1, 0, nullptr, params,
       nullptr);
  CALL(cuCtxSynchronize, );
}

static void testModuleFile(const char *path) {
  CUmodule module = nullptr;
  EXPECT(cuModuleLoad(&module, "no/such/file") == CUDA_ERROR_FILE_NOT_FOUND);
  CALL(cuModuleLoad, &module, path);
}

int main(int argc, char **argv) {
  testDevice();
  testContexts();
  if (argc > 2 && !std::strcmp(argv[1], "fail")) {
    testFailingKernel(argv[2]);
    return 0;
  }
  testAllocation();
  testCopies();
  testStreams();
  testLaunches();
  testTwoKernels();
  testClusters();
  if (argc > 1)
    testModuleFile(argv[1]);
  std::puts("all calls succeeded");
}
