// An MLIR module in Python.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Module.h"
#include "Errors.h"
#include "Nesting.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Target/LLVMIR/Dialect/All.h"
#include "moe/Pipelines/RegisterAll.h"
#include "moe/Runtime/NativeModule.h"

#include <mutex>

namespace py = pybind11;
using namespace mlir;
using namespace mlir::moe;
using namespace mlir::moe::python;

/// What a module and its copies share.
struct Module::State {
  MLIRContext context;
  std::mutex mutex;

  State() : context(registry(), MLIRContext::Threading::DISABLED) {
    // A message ends with what to do, not with a dump of the operation.
    context.printOpOnDiagnostic(false);
  }

  static const DialectRegistry &registry() {
    static const DialectRegistry *instance = [] {
      auto *all = new DialectRegistry();
      registerAllDialects(*all);
      registerAllExtensions(*all);
      registerAllToLLVMIRTranslations(*all);
      registerAllPasses();
      mlir::moe::registerAllMoE(*all);
      return all;
    }();
    return *instance;
  }
};

Module::Module(std::shared_ptr<State> state, OwningOpRef<ModuleOp> module)
    : state(std::move(state)), module(std::move(module)) {}

Module::~Module() { module = nullptr; } // before its context

std::unique_ptr<Module> Module::parse(const std::string &text,
                                      const std::string &name,
                                      bool allowUnregistered) {
  if (std::string problem = nestingProblem(text); !problem.empty())
    raise(name + ":" + problem, name);
  auto state = std::make_shared<State>();
  state->context.allowUnregisteredDialects(allowUnregistered);
  DiagnosticCollector diagnostics(&state->context);
  OwningOpRef<ModuleOp> module;
  {
    py::gil_scoped_release release;
    ParserConfig config(&state->context);
    module = parseSourceString<ModuleOp>(text, config, name);
  }
  if (!module)
    diagnostics.raise(name + ": this is not MLIR text of the moe dialect");
  return std::unique_ptr<Module>(new Module(state, std::move(module)));
}

std::unique_ptr<Module> Module::clone() const {
  std::lock_guard<std::mutex> lock(state->mutex);
  return std::unique_ptr<Module>(
      new Module(state, OwningOpRef<ModuleOp>(module.get().clone())));
}

void Module::run(const std::string &pipeline) {
  DiagnosticCollector diagnostics(&state->context);
  std::string problem;
  bool succeeded = false;
  {
    py::gil_scoped_release release;
    std::lock_guard<std::mutex> lock(state->mutex);
    PassManager manager(&state->context, ModuleOp::getOperationName());
    llvm::raw_string_ostream errors(problem);
    StringRef passes = pipeline;
    if (passes.consume_front("builtin.module(") && !passes.consume_back(")"))
      problem = "missing ')' at the end\n";
    else if (succeeded =
                 mlir::succeeded(parsePassPipeline(passes, manager, errors));
             succeeded) {
      OwningOpRef<ModuleOp> copy = module.get().clone();
      succeeded = mlir::succeeded(manager.run(*copy));
      if (succeeded)
        module = std::move(copy);
    }
  }
  if (!problem.empty())
    raise("pass pipeline '" + pipeline +
          "': " + StringRef(problem).trim().split('\n').first.str() +
          "; moe-opt --help lists the passes and their options");
  if (!succeeded)
    diagnostics.raise(
        "pass pipeline '" + pipeline +
        "' failed and gave no reason, which is a defect of one of "
        "its passes");
}

std::string Module::print(bool generic, bool locations) const {
  std::string text;
  llvm::raw_string_ostream stream(text);
  OpPrintingFlags flags;
  if (generic)
    flags.printGenericOpForm();
  if (locations)
    flags.enableDebugInfo();
  std::lock_guard<std::mutex> lock(state->mutex);
  module.get().print(stream, flags);
  return text;
}

static py::object toPython(Attribute attribute) {
  if (auto text = dyn_cast<StringAttr>(attribute))
    return py::str(text.getValue().str());
  if (auto flag = dyn_cast<BoolAttr>(attribute))
    return py::bool_(flag.getValue());
  if (auto number = dyn_cast<IntegerAttr>(attribute))
    return py::int_(number.getInt());
  if (auto number = dyn_cast<FloatAttr>(attribute))
    return py::float_(number.getValueAsDouble());
  if (isa<UnitAttr>(attribute))
    return py::bool_(true);
  if (auto array = dyn_cast<ArrayAttr>(attribute)) {
    py::list list;
    for (Attribute element : array)
      list.append(toPython(element));
    return list;
  }
  if (auto dictionary = dyn_cast<DictionaryAttr>(attribute)) {
    py::dict dict;
    for (NamedAttribute named : dictionary)
      dict[py::str(named.getName().str())] = toPython(named.getValue());
    return dict;
  }
  std::string text;
  llvm::raw_string_ostream(text) << attribute;
  return py::str(text);
}

static py::dict describe(Type type, DictionaryAttr attributes) {
  py::dict result;
  std::string dtype;
  py::object shape = py::none();
  Type element = type;
  if (auto shaped = dyn_cast<ShapedType>(type); shaped && shaped.hasRank()) {
    element = shaped.getElementType();
    py::list sizes;
    for (int64_t size : shaped.getShape())
      sizes.append(ShapedType::isDynamic(size) ? py::object(py::none())
                                               : py::object(py::int_(size)));
    shape = sizes;
  }
  llvm::raw_string_ostream(dtype) << element;
  result["dtype"] = dtype;
  result["shape"] = shape;
  result["attributes"] =
      attributes ? toPython(attributes) : py::object(py::dict());
  return result;
}

py::list Module::signatures() const {
  py::list functions;
  for (auto function : module.get().getOps<func::FuncOp>()) {
    if (function.isDeclaration())
      continue;
    py::list arguments, results;
    for (auto [index, type] : llvm::enumerate(function.getArgumentTypes()))
      arguments.append(describe(type, function.getArgAttrDict(index)));
    for (auto [index, type] : llvm::enumerate(function.getResultTypes()))
      results.append(describe(type, function.getResultAttrDict(index)));
    py::dict entry;
    entry["name"] = function.getName().str();
    entry["public"] = function.isPublic();
    entry["arguments"] = arguments;
    entry["results"] = results;
    functions.append(entry);
  }
  return functions;
}

static py::list print(TypeRange types) {
  py::list result;
  for (Type type : types) {
    std::string text;
    llvm::raw_string_ostream(text) << type;
    result.append(text);
  }
  return result;
}

py::list Module::find(const std::string &name) const {
  py::list found;
  module.get().walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (op->getName().getStringRef() != name)
      return;
    py::dict entry;
    entry["attributes"] = toPython(op->getAttrDictionary());
    entry["operands"] = ::print(op->getOperandTypes());
    entry["results"] = ::print(op->getResultTypes());
    found.append(entry);
  });
  return found;
}

py::dict Module::operations() const {
  llvm::StringMap<int64_t> counts;
  module.get().walk(
      [&](Operation *op) { ++counts[op->getName().getStringRef()]; });
  py::dict result;
  for (const auto &entry : counts)
    result[py::str(entry.first().str())] = entry.second;
  return result;
}

py::dict Module::takeKernels() {
  py::dict result;
  result["kernels"] = py::list();
  result["format"] = py::none();
  result["image"] = py::bytes();
  if (auto names = module.get()->getAttrOfType<ArrayAttr>("moe.kernels"))
    result["kernels"] = toPython(names);
  for (auto binary :
       llvm::make_early_inc_range(module.get().getOps<gpu::BinaryOp>())) {
    auto object = cast<gpu::ObjectAttr>(binary.getObjects()[0]);
    switch (object.getFormat()) {
    case gpu::CompilationTarget::Assembly:
      result["format"] = "isa";
      break;
    case gpu::CompilationTarget::Binary:
      result["format"] = "bin";
      break;
    default:
      result["format"] = "fatbin";
    }
    StringRef image = object.getObject().getValue();
    // PTX ends with a zero for the driver, which is no part of the text.
    if (object.getFormat() == gpu::CompilationTarget::Assembly)
      image = image.rtrim('\0');
    result["image"] = py::bytes(image.data(), image.size());
    binary.erase();
  }
  return result;
}

/// Translates and optimises. Takes the GIL for raising only.
static mlir::moe::NativeModule translate(ModuleOp module, std::mutex &mutex,
                                         const std::string &cpu,
                                         unsigned optimize, bool callers) {
  DiagnosticCollector diagnostics(module.getContext());
  auto target = take(mlir::moe::NativeCPU::get(cpu));
  auto native = [&] {
    py::gil_scoped_release release;
    std::lock_guard<std::mutex> lock(mutex);
    auto result = mlir::moe::NativeModule::translate(module, target);
    if (result) {
      if (callers)
        result->addPackedCallers();
      result->optimize(optimize);
    }
    return result;
  }();
  if (!native)
    diagnostics.raise(llvm::toString(native.takeError()));
  return std::move(*native);
}

std::string Module::llvmIR(const std::string &cpu, unsigned optimize) const {
  return translate(*module, state->mutex, cpu, optimize, false).print();
}

py::bytes Module::object(const std::string &cpu, unsigned optimize,
                         bool callers) const {
  auto native = translate(*module, state->mutex, cpu, optimize, callers);
  auto code = [&] {
    py::gil_scoped_release release;
    return native.emitObject();
  }();
  check(code.takeError());
  return py::bytes(code->data(), code->size());
}

void python::bindModule(py::module_ &m) {
  py::class_<Module>(m, "Module", "An MLIR module.")
      .def_static("parse", &Module::parse, py::arg("text"),
                  py::arg("name") = "<string>",
                  py::arg("allow_unregistered") = false)
      .def("clone", &Module::clone)
      .def("run", &Module::run, py::arg("pipeline"))
      .def("print", &Module::print, py::arg("generic") = false,
           py::arg("locations") = false)
      .def("signatures", &Module::signatures)
      .def("operations", &Module::operations)
      .def("find", &Module::find, py::arg("name"))
      .def("take_kernels", &Module::takeKernels)
      .def("llvm_ir", &Module::llvmIR, py::arg("cpu") = "host",
           py::arg("optimize") = 0)
      .def("object", &Module::object, py::arg("cpu") = "host",
           py::arg("optimize") = 0, py::arg("callers") = true);
}
