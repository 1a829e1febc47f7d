# make demo          the built-in model writes a long diary with the full cache and with small ones; report.html
# make test          every test
# make build         the release build of the command
# make install       the command with its data, man page and completions, below PREFIX (/usr/local)
# make docs          the documentation of every product, into .build/documentation
# make bench         speed beside libllama, about 30 minutes; rewrites the table of docs/performance.md; SET=architectures:
#                    shapes with experts, sinks, delta nets and shared keys, about 15 minutes
# make micro-bench   the attention kernel alone, by type and shape
# make calibrate-demo  the calibration of the built-in model anew, from its own answers
# make lint          formatting rules, warnings are errors; sizes, and folders without cycles
# make format        rewrites the sources to those rules
# make test-devices  the tests of devices by graph on the CPU, on workers, and on ggml's Vulkan backend with Mesa's software driver (Debian);
#                    DEVICE_TESTS=quick: a part of them, less than 8 minutes
# make test-asan     the tests under the address sanitizer, the kernel with traps at undefined behaviour
#
# TRAITS="--disable-default-traits" `make build` without the server and HTTP judges
# DEMO_FLAGS=--quick `make demo` in under a minute after the build
# DEMO_MODEL=FILE    another diary model for `make demo`, as Training/ makes them

SHELL := /bin/bash
DEMO_FLAGS ?=
DEMO_MODEL ?=
DEVICE_TESTS ?=
TEST_FLAGS ?=
TRAITS ?=
PREFIX ?= /usr/local

-include .deps/env
export MORPHKV_OPTIMIZE_KERNEL = 1

.PHONY: setup setup-demo demo test build install docs bench micro-bench calibrate-demo lint format test-asan test-devices test-python

setup:
	@scripts/bootstrap
# What the demo does not need is compiled later.
setup-demo:
	@scripts/bootstrap --without-common

# `setup` may have created .deps/env just now, so the rules below start a fresh make that reads it.
test: test-python
demo: setup-demo
build install docs test test-asan test-devices bench calibrate-demo: setup
demo build install docs test test-asan test-devices bench calibrate-demo:
	@$(MAKE) --no-print-directory do-$@

# Python with the packages that some scores and tests need; without it those tests are skipped.
test-python:
	@scripts/test-python
	@scripts/openai-python

.PHONY: do-build do-install do-docs do-test do-test-asan do-test-devices do-demo do-bench do-calibrate-demo
do-build:
	@scripts/build $(TRAITS)

do-install: do-build
	@scripts/install "$$(swift build -c release --show-bin-path)/morphkv" "$(PREFIX)"

do-docs:
	swift build --build-tests
	@scripts/docs

# What they look at is over soon, or has to come in time: beside hundreds of others they would come too late.
ALONE := MadeContextTests|KeptContextTests|ModelRoomTests|LostWorkerTests|WorkerCommandTests|ThreeHostsTests
do-test:
	swift build --build-tests
	MORPHKV_PYTHON="$$(scripts/test-python --path)" swift test --skip-build $(if $(TEST_FLAGS),$(TEST_FLAGS),--skip "$(ALONE)")
	$(if $(TEST_FLAGS),,swift test --disable-xctest --skip-build --no-parallel --filter "$(ALONE)")
	for example in CustomPolicy CustomBenchmark; do \
		swift test --package-path Examples/$$example || exit 1; \
	done

do-test-asan: export MORPHKV_CHECK_KERNEL = 1
do-test-asan:
	@# XCTest itself leaks; Swift's backtracer trips over the sanitizer.
	swift build --build-tests --sanitize=address --scratch-path .build-asan
	SWIFT_BACKTRACE=enable=no GGML_NO_BACKTRACE=1 swift test --disable-xctest --skip-build --sanitize=address \
		--scratch-path .build-asan $(TEST_FLAGS)

do-test-devices:
	swift build --build-tests
	@scripts/test-devices $(DEVICE_TESTS)

# Without the traits nothing of HTTP is fetched or built; other modules than those of do-build, hence a folder of their own.
DEMO_BUILD := --disable-default-traits --scratch-path .build-demo
do-demo:
	@scripts/build $(DEMO_BUILD)
	@"$$(swift build -c release $(DEMO_BUILD) --show-bin-path)/morphkv" demo $(if $(DEMO_MODEL),--model "$(DEMO_MODEL)") $(DEMO_FLAGS)

do-bench: do-build
	@scripts/bench "$$(swift build -c release --show-bin-path)/morphkv" $(SET)

do-calibrate-demo: do-build
	@MORPHKV="$$(swift build -c release --show-bin-path)/morphkv" scripts/calibrate-demo

# The kernel needs neither llama.cpp nor optimisation flags of ours: a release build is optimised.
micro-bench:
	MORPHKV_OPTIMIZE_KERNEL= BENCHMARK_DISABLE_MALLOC_INTERPOSER=1 \
		swift package --package-path Benchmarks benchmark --grouping metric --no-progress

SWIFT_FILES := Package.swift Sources Tests Examples/*/Sources Examples/*/Tests Benchmarks/Package.swift Benchmarks/Benchmarks

lint:
	swift format lint --strict --recursive --parallel $(SWIFT_FILES)
	@scripts/check-structure

format:
	swift format --in-place --recursive --parallel $(SWIFT_FILES)
