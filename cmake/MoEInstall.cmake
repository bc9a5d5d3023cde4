# Installs the libraries with their headers, the tools, and a package that
# `find_package(MoE)` finds. Included last: it takes every library of lib/.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(MOE_INSTALL_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/moe)

get_property(libraries DIRECTORY ${PROJECT_SOURCE_DIR}/lib
             PROPERTY BUILDSYSTEM_TARGETS)
foreach(library ${libraries})
  target_include_directories(${library} INTERFACE
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
    $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/include>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
endforeach()
install(TARGETS ${libraries} EXPORT MoETargets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT compiler)
install(EXPORT MoETargets NAMESPACE MoE:: COMPONENT compiler
        DESTINATION ${MOE_INSTALL_PACKAGE_DIR})

if(MOE_TOOLS)
  set(tools moe-opt moe-reduce moe-lsp-server)
  if(TARGET MoEPlugin)
    list(APPEND tools MoEPlugin)
  endif()
  # The packaged LLVM need not be on the loader's path.
  set_target_properties(${tools} PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)
  install(TARGETS ${tools} COMPONENT compiler
          RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR}
          LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()

foreach(root ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
  install(DIRECTORY ${root}/include/moe COMPONENT compiler
          DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
          FILES_MATCHING PATTERN "*.h" PATTERN "*.td" PATTERN "*.inc"
          PATTERN "CMakeFiles" EXCLUDE)
endforeach()

configure_package_config_file(
  ${PROJECT_SOURCE_DIR}/cmake/MoEConfig.cmake.in
  ${PROJECT_BINARY_DIR}/MoEConfig.cmake
  INSTALL_DESTINATION ${MOE_INSTALL_PACKAGE_DIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/MoEConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/MoEConfig.cmake
              ${PROJECT_BINARY_DIR}/MoEConfigVersion.cmake
        COMPONENT compiler DESTINATION ${MOE_INSTALL_PACKAGE_DIR})
