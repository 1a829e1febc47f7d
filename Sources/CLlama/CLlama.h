// The C headers of llama.cpp, found through pkg-config (see scripts/bootstrap).
#include <gguf.h>
#include <ggml.h>
#include <ggml-alloc.h>
#include <ggml-backend.h>
#include <llama.h>
