# consentd: make help lists the targets.

GO      ?= go
VERSION ?= 0.1.0
LDFLAGS  = -s -w -X main.version=$(VERSION)
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

# Packages of npm: the ClickHouse engine, and what checks the widget. A stamp says when they were installed.
ENGINE = storage/engine/node_modules/.installed
WIDGET = widget/node_modules/.installed

.DEFAULT_GOAL := help
.PHONY: help run test bench bench-widget profile screenshots lint build generate fuzz kill9 faults torture mutants counts chromium jq strace clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: build $(ENGINE) ## set up everything, start consentd with its own ClickHouse and a demo shop
	bin/consentd demo

test: build $(ENGINE) $(WIDGET) chromium jq strace ## run every test, on a real ClickHouse, a real browser, a real disk
	$(GO) test -count=1 -timeout 22m ./...

bench: build $(ENGINE) ## measure against bare Fiber in the same run; writes bench/RESULTS.md
	$(GO) run ./bench

profile: build $(ENGINE) ## measure where consentd spends its time, for the compiler; writes cmd/consentd/consentd.pgo
	$(GO) run ./bench -rounds 1 -length 15s -subjects 1000000 -out bin/profile.md -profile $(PROFILE) record lookup

kill9: build $(ENGINE) ## a thousand kill -9 under load: nothing lost, nothing counted twice
	$(GO) run ./bench -cycles 1000 kill9

faults: build strace ## fail every system call of every phase: nothing lost, nothing changed, no hang
	$(GO) run ./bench/faults

torture: build ## damage two thousand data directories: refused, equal or reported, never silent
	$(GO) run ./bench/damage

mutants: build $(ENGINE) ## remove every guard of bench/mutants: its tests must fail
	$(GO) run ./bench/mutants

counts: build $(ENGINE) ## restore a backup, record on two edges: every proof known, and counted once
	$(GO) run ./bench/counts

bench-widget: $(WIDGET) chromium ## what the banner costs a first visit, beside three others, on a slowed browser
	$(GO) test ./widget -run '^$$' -bench Banners -benchtime 7x -timeout 20m

SHOTS ?= bin/screenshots
screenshots: $(WIDGET) chromium ## photograph every layout of the banner, every state of a form, the dossier and the verify page into SHOTS
	$(GO) test ./widget -run '^Test(Form)?Gallery$$' -count=1 -shots '$(abspath $(SHOTS))'
	$(GO) test ./server -run '^TestThePageWorksFromADisk$$|^TestTheDossierIsReadable$$' -count=1 -shots '$(abspath $(SHOTS))'

# SA4023 ends staticcheck 0.8.2 itself with a panic (facts/nilness: index out of range).
lint: $(WIDGET) ## gofmt, vet, staticcheck, tsc
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo "run gofmt -w on these"; exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) -checks inherit,-SA4023 ./...
	npm --prefix widget run --silent lint

# What the compiler is told about hot paths: a tenth less processor time a request. It costs half a minute of compiling.
PROFILE = cmd/consentd/consentd.pgo

build: ## make bin/consentd
	@for try in 1 2 3; do $(GO) mod download && break; sleep 5; done
	$(GO) build -trimpath -pgo=$(PROFILE) -ldflags '$(LDFLAGS)' -o bin/consentd ./cmd/consentd

generate: ## write generated files anew (tests fail while they are stale)
	$(GO) generate ./...

FUZZTIME ?= 30s
fuzz: ## fuzz every parser for FUZZTIME each (default 30s)
	@for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
	    echo "$$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
	  done; \
	done

# $(call npm,DIR,CHECK) installs what DIR locks, in three tries, until CHECK holds as well.
npm = @for try in 1 2 3; do \
	  npm ci --no-audit --no-fund --prefix $(1) && $(2) && touch $@ && exit 0; sleep 5; \
	done; echo "npm does not get all that $(1) needs: is the registry reachable?" >&2; exit 1

$(ENGINE): storage/engine/package-lock.json # the library is optional to npm, which leaves it out when its download fails
	$(call npm,storage/engine,ls storage/engine/node_modules/@chdb/*/libchdb.so >/dev/null)

$(WIDGET): widget/package-lock.json
	$(call npm,widget,true)

APT = DEBIAN_FRONTEND=noninteractive apt-get -qq -o Acquire::Retries=5 -o DPkg::Lock::Timeout=300

chromium:
	@if [ -n "$$CONSENTD_CHROMIUM" ] || command -v chromium chromium-browser google-chrome >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "installing Chromium for the browser tests"; \
	  $(APT) update && $(APT) install -y chromium >/dev/null; \
	else \
	  echo "The browser tests need Chromium: install the package chromium, or set CONSENTD_CHROMIUM to its path." >&2; exit 1; \
	fi

jq:
	@command -v jq >/dev/null && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then $(APT) update && $(APT) install -y jq >/dev/null; \
	else echo "One test checks evidence by hand and needs jq: install it." >&2; exit 1; fi

strace:
	@command -v strace >/dev/null && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then $(APT) update && $(APT) install -y strace >/dev/null; \
	else echo "The tests with failing system calls need strace: install it." >&2; exit 1; fi

clean: ## remove what was built and installed (data stays)
	rm -rf bin storage/engine/node_modules widget/node_modules
