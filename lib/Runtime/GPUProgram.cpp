// A compiled module on a device.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "moe/Runtime/GPUProgram.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir::moe;

llvm::Expected<std::unique_ptr<GPUProgram>>
GPUProgram::load(std::shared_ptr<const GPUDevice> device,
                 llvm::ArrayRef<char> object, llvm::StringRef image,
                 llvm::ArrayRef<std::string> kernels) {
  std::unique_ptr<GPUProgram> program(new GPUProgram());
  program->device = device;
  auto module = GPUModule::load(device, image, kernels);
  if (!module)
    return module.takeError();
  program->module = std::move(*module);
  program->context = std::make_unique<GPUContext>(device, *program->module);
  auto cpu = NativeCPU::get("host");
  if (!cpu)
    return cpu.takeError();
  auto code = LoadedCode::load(object, *cpu);
  if (!code)
    return code.takeError();
  program->code = std::move(*code);
  return program;
}

/// Words of a memref descriptor: two pointers, offset, sizes, strides.
static size_t descriptorWords(size_t rank) { return 3 + 2 * rank; }

static void appendDescriptor(const GPUProgram::Tensor &tensor,
                             std::vector<uint64_t> &words) {
  words.insert(words.end(), {tensor.pointer, tensor.pointer, 0});
  words.insert(words.end(), tensor.shape.begin(), tensor.shape.end());
  std::vector<uint64_t> strides(tensor.shape.size());
  uint64_t stride = 1;
  for (size_t i = tensor.shape.size(); i-- > 0; stride *= tensor.shape[i])
    strides[i] = stride;
  words.insert(words.end(), strides.begin(), strides.end());
}

llvm::Expected<std::vector<GPUProgram::Output>>
GPUProgram::call(llvm::StringRef function, llvm::ArrayRef<Tensor> arguments,
                 llvm::ArrayRef<size_t> resultRanks, DriverStream stream,
                 std::vector<GPUResult> given) {
  return run(function, arguments, resultRanks, stream, std::move(given),
             /*recording=*/nullptr);
}

llvm::Expected<std::vector<GPUProgram::Tensor>> GPUProgram::record(
    llvm::StringRef function, std::vector<std::vector<int64_t>> shapes,
    llvm::ArrayRef<size_t> resultRanks, GPURecording &recording) {
  std::vector<Tensor> arguments;
  for (auto [number, shape] : llvm::enumerate(shapes))
    arguments.push_back(
        {GPURecording::address(GPURecording::Space::Argument, number), shape});
  auto outputs = run(function, arguments, resultRanks, /*stream=*/nullptr,
                     /*given=*/{}, &recording);
  if (!outputs)
    return outputs.takeError();
  std::vector<Tensor> results;
  for (Output &output : *outputs)
    results.push_back(std::move(output.tensor));
  return results;
}

llvm::Expected<std::vector<GPUProgram::Output>>
GPUProgram::run(llvm::StringRef function, llvm::ArrayRef<Tensor> arguments,
                llvm::ArrayRef<size_t> resultRanks, DriverStream stream,
                std::vector<GPUResult> given, GPURecording *recording) {
  std::lock_guard<std::mutex> lock(mutex);
  auto address = code->lookup(function);
  if (!address)
    return address.takeError();
  std::vector<uint64_t> words;
  for (size_t rank : resultRanks)
    words.resize(words.size() + descriptorWords(rank));
  std::vector<size_t> starts;
  for (const Tensor &argument : arguments) {
    starts.push_back(words.size());
    appendDescriptor(argument, words);
  }
  std::vector<void *> pointers;
  if (!resultRanks.empty())
    pointers.push_back(words.data());
  pointers.push_back(context.get());
  for (size_t start : starts)
    pointers.push_back(words.data() + start);

  GPUDevice::Scope scope(*device);
  if (llvm::Error error = scope.takeError())
    return error;
  context->begin(stream, std::move(given), recording);
  llvm::Error refused = code->call(*address, pointers.data(), /*threads=*/1);
  auto results = context->end();
  if (refused) {
    llvm::consumeError(results.takeError());
    return refused;
  }
  if (!results)
    return results.takeError();
  results->resize(resultRanks.size());
  std::vector<Output> outputs;
  const uint64_t *next = words.data();
  for (auto [rank, result] : llvm::zip_equal(resultRanks, *results)) {
    Tensor tensor;
    tensor.pointer = next[1];
    tensor.shape.assign(next + 3, next + 3 + rank);
    outputs.push_back({std::move(tensor), std::move(result.owner)});
    next += descriptorWords(rank);
  }
  return outputs;
}

size_t GPUProgram::keptBytes() {
  std::lock_guard<std::mutex> lock(mutex);
  return context->keptBytes();
}

void GPUProgram::release() {
  std::lock_guard<std::mutex> lock(mutex);
  context->release();
}
