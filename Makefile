# Every target does its own set-up (scripts/setup.sh), which is quick when there is nothing left to do.

TOOLS := $(CURDIR)/.tools

# The programs that the demo and the tests start. Set one yourself to use another server or Python.
export PENSTOCK_TEST_REDIS_SERVER ?= $(TOOLS)/redis-server
export PENSTOCK_TEST_VALKEY_SERVER ?= $(TOOLS)/valkey-server
export PENSTOCK_TEST_PYTHON ?= $(TOOLS)/python

# Most tests wait for something most of the time: three to a core make the run as long as the cores are busy.
export RUST_TEST_THREADS ?= $(shell echo $$(( 3 * $$(getconf _NPROCESSORS_ONLN) )))

DEMO_FLAGS ?=
TEST_FLAGS ?=
FRAMEWORKS_FLAGS ?=
KUBERNETES_FLAGS ?=
BENCH_FLAGS ?=
FUZZ_FLAGS ?= --inputs 1000000
FUZZ_TARGETS ?=
SOAK_FLAGS ?= --minutes 10 --triggers 500

.DEFAULT_GOAL := help
.PHONY: help demo test test-frameworks test-kubernetes bench fuzz soak lint

help: ## say what there is (the default)
	@echo 'make TARGET, where TARGET is one of'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-15s %s\n", $$1, $$2 }' Makefile

demo: ## watch jobs, workers and scaling decisions on this machine; DEMO_FLAGS="..." adds flags
	@scripts/setup.sh rust redis
	cargo build --release --locked --package penstock-demo
	cargo run --release --locked --quiet --package penstock-demo -- --redis-server "$(PENSTOCK_TEST_REDIS_SERVER)" $(DEMO_FLAGS)

test: ## run every test; TEST_FLAGS="..." adds arguments for cargo test
	@scripts/setup.sh rust redis valkey python
	cargo test --workspace --exclude penstock-kubernetes --locked $(TEST_FLAGS)

test-frameworks: ## compare the counts with real job frameworks, in about three minutes; installs them in .tools
	@scripts/setup.sh rust redis valkey frameworks
	cargo test --locked --features frameworks --test frameworks -- $(FRAMEWORKS_FLAGS)

test-kubernetes: ## scale under the real KEDA, HPA and controllers, in some fifteen minutes; builds them in .tools
	@scripts/setup.sh rust redis frameworks kubernetes
	cargo build --locked
	cargo test --locked --package penstock-kubernetes -- $(KUBERNETES_FLAGS)

bench: ## measure what it costs, in about eight minutes; BENCH_FLAGS="..." adds flags
	@scripts/setup.sh rust redis
	cargo build --release --locked --workspace
	cargo run --release --locked --quiet --package penstock-bench -- --redis-server "$(PENSTOCK_TEST_REDIS_SERVER)" $(BENCH_FLAGS)

fuzz: ## make a million inputs for each target and check them; FUZZ_FLAGS="..." sets how many, FUZZ_TARGETS which
	@scripts/setup.sh rust
	FUZZ_FLAGS="$(FUZZ_FLAGS)" cargo test --profile fuzz --locked --test fuzz -- --nocapture $(FUZZ_TARGETS)

soak: ## let a fleet live through faults for ten minutes; SOAK_FLAGS="--minutes 60 --triggers 2000" for longer
	@scripts/setup.sh rust redis
	SOAK_FLAGS="$(SOAK_FLAGS)" cargo test --release --locked --test soak a_fleet -- --nocapture

lint: ## check formatting, lints, documentation, and what the dependencies are
	@scripts/setup.sh rust lint
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --features frameworks --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
	@scripts/setup.sh deny
	"$(TOOLS)/cargo-deny" --workspace --locked check -D warnings bans licenses sources
