// A driver that writes down the name of every call and hands it on to the one
// that TRACED_DRIVER names. x86-64 of Linux.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

static char names[1 << 16];

/// The calls since the last time, each followed by a space.
const char *traceTake(void) {
  static char taken[sizeof names];
  strcpy(taken, names);
  names[0] = '\0';
  return taken;
}

__attribute__((used)) void *traceEnter(const char *symbol) {
  static void *driver;
  if (!driver)
    driver = dlopen(getenv("TRACED_DRIVER"), RTLD_NOW);
  if (strlen(names) + strlen(symbol) + 2 < sizeof names)
    strcat(strcat(names, symbol), " ");
  return dlsym(driver, symbol);
}

// Registers with arguments are kept; those on the stack stay where they are.
#define MOE_DRIVER_FUNCTION(NAME, SYMBOL, ...)                                 \
  __asm__(".section .rodata\n"                                                 \
          "name_" #SYMBOL ": .asciz \"" #SYMBOL "\"\n"                         \
          ".text\n"                                                            \
          ".globl " #SYMBOL "\n"                                               \
          ".type " #SYMBOL ", @function\n" #SYMBOL ":\n"                       \
          "push %rdi\npush %rsi\npush %rdx\npush %rcx\npush %r8\npush %r9\n"   \
          "sub $8, %rsp\n"                                                     \
          "lea name_" #SYMBOL "(%rip), %rdi\n"                                 \
          "call traceEnter@PLT\n"                                              \
          "mov %rax, %r11\n"                                                   \
          "add $8, %rsp\n"                                                     \
          "pop %r9\npop %r8\npop %rcx\npop %rdx\npop %rsi\npop %rdi\n"         \
          "jmp *%r11\n");
#include "moe/Runtime/GPUDriverFunctions.inc"
