// The headers of llama.cpp, which pkg-config finds by the file that scripts/bootstrap writes.
#if !__has_include(<llama.h>)
#error "llama.cpp was not found. In a package that depends on swift-morphkv run: export PKG_CONFIG_PATH=$(.build/checkouts/swift-morphkv/scripts/bootstrap --pkg-config-path) and build again (docs/library.md). In a clone of swift-morphkv: make build"
#else
#include <gguf.h>
#include <ggml.h>
#include <ggml-alloc.h>
#include <ggml-backend.h>
#include <llama.h>
#endif
