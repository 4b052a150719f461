# A thin front to the CMake presets; `make help` lists the jobs.

JOBS ?= $(shell nproc)
CTEST := ctest --output-on-failure --no-tests=error

# $(call build,<preset>) configures and builds one preset; quiet until something is wrong.
build = cmake --preset $(1) --log-level=WARNING && cmake --build --preset $(1) -j $(JOBS)
# $(call test,<preset>) runs what `make test` runs of it.
test = ctest --preset $(1) -j $(JOBS)
# The sanitizers of gcc 12 expect less randomness of addresses than some kernels have (32 bits), and end
# one program of many as it begins.
calm = $(shell [ "$$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null)" -gt 28 ] 2>/dev/null && \
  setarch -R true && echo setarch -R)

.PHONY: all
all: ## build the allocator and the command into build/release
	@command -v cmake ninja g++ >/dev/null || { echo "make: tools are missing; run: make setup" >&2; exit 1; }
	@$(call build,release)

.PHONY: setup
setup: ## install the packages that the build needs (Debian)
	@tools/setup build

.PHONY: demo
demo: ## run real programs on the system's malloc and on Tide, side by side
	@tools/setup build demo
	@$(call build,release)
	@bench/demo

.PHONY: test
test: ## build and run every test of our own code in release, and the engine's under ASan
	@tools/setup build test
	@$(call build,release)
	@$(call test,release)
	@$(MAKE) --no-print-directory test-asan

.PHONY: test-check test-asan test-ubsan test-tsan
test-check test-asan test-ubsan test-tsan: test-%: ## the tests with all checks on, or the engine's under a sanitizer
	@tools/setup build test
	@$(call build,$*)
	@$(if $(filter check,$*),,$(calm)) $(call test,$*)

.PHONY: test-arm64
test-arm64: ## the library for 64-bit ARM and its tests, under qemu
	@tools/setup build test arm64
	@tools/arm64_root build/arm64-root
	@$(call build,arm64)
	@$(call test,arm64)

.PHONY: test-programs
test-programs: ## install the long list of foreign programs and run them on Tide
	@tools/setup build test programs
	@$(call build,release)
	@$(CTEST) --test-dir build/release -j $(JOBS) -L '^programs$$'

.PHONY: test-programs-all
test-programs-all: ## the same and those that take minutes
	@tools/setup build test programs
	@$(call build,release)
	@$(CTEST) --test-dir build/release -j $(JOBS) -L '^programs(-long)?$$'

.PHONY: test-programs-traced
test-programs-traced: ## the same programs on the system's malloc, recorded by tide trace
	@tools/setup build test programs
	@$(call build,release)
	@rm -rf build/traced-programs
	@build/release/bin/tide trace --quiet -o build/traced-programs -- tests/programs/run --group all \
	  --library build/release/lib/libtide-trace.so --timeout-factor 2

.PHONY: bench
bench: ## compare with the other allocators
	@tools/setup build bench
	@$(call build,release)
	@bench/compare

.PHONY: bench-return
bench-return: ## how memory goes back to the system, on all allocators; half an hour
	@tools/setup build bench
	@$(call build,release)
	@bench/return
	@bench/plot-return

.PHONY: bench-trace
bench-trace: ## record real programs and replay their workloads on all allocators; ten minutes
	@tools/setup build bench demo
	@$(call build,release)
	@bench/record --report build/bench-trace.html

.PHONY: soak
soak: ## stress, forks and fault injection in release, ASan and TSan for an hour (SOAK_MINUTES=60)
	@tools/setup build test
	@for preset in release asan tsan; do \
	  cmake --preset $$preset --log-level=WARNING && \
	  cmake --build --preset $$preset -j $(JOBS) --target stress_engine faults_engine || exit 1; \
	done
	@tests/stress/soak --minutes $(or $(SOAK_MINUTES),60) $(if $(SOAK_SEED),--seed $(SOAK_SEED))
	@$(call build,release)
	@$(CTEST) --test-dir build/release -L '^soak$$'

.PHONY: fuzz
fuzz: ## run each fuzz target for a minute (FUZZ_SECONDS=60, FUZZ_SEED=)
	@tools/setup build test tidy
	@$(call build,fuzz)
	@FUZZ_SECONDS=$(FUZZ_SECONDS) FUZZ_SEED=$(FUZZ_SEED) tools/fuzz build/fuzz

.PHONY: format format-check
format: ## format all C and C++ sources
	@tools/format
format-check: ## say which sources are not formatted
	@tools/format --check

.PHONY: tidy
tidy: ## clang's warnings, thread-safety analysis and clang-tidy over all sources
	@tools/setup build test tidy
	@$(call build,tidy)
	@tools/tidy -j $(JOBS)

.PHONY: coverage
coverage: ## line coverage of the engine's tests, a table per folder
	@tools/setup build test coverage
	@$(call build,coverage)
	@$(call test,coverage)
	@tools/coverage build/coverage

.PHONY: install
install: all ## install build/release (PREFIX=/usr/local, DESTDIR=)
	@DESTDIR="$(DESTDIR)" cmake --install build/release $(if $(PREFIX),--prefix "$(PREFIX)")

.PHONY: clean
clean: ## remove build/
	@rm -rf build

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | column -t -s '|'
