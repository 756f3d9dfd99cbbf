# make help lists what there is. Everything runs from .venv, which is made from the locks when it is needed.

PY ?= python3
UV ?= uv
BIN := .venv/bin

# What would lead .venv astray, or compile all anew in each of the processes that tests start. KEEP, ODOO and the like
# reach the programs by themselves when given to make.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo recorded week test faults soak oversell e2e browser lint reference lock clean
.PHONY: bench-hub bench-odoo bench-stock bench-outage bench-catalogue bench-customers bench-master bench-drift
.PHONY: bench-storefront bench-console

help:  ## what there is
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/.runtime  ## the whole road in one go: a shop, the hub, an Odoo (KEEP=1 leaves it running, ODOO=real or sandbox)
	$(BIN)/python -m counterfoil_lab.demo

recorded: .venv/.runtime  ## recorded orders through the hub (ORDERS=folder, ODOO=real or sandbox, CATALOGUE=folder)
	@test -n "$(ORDERS)" || { echo "say which: make recorded ORDERS=folder" >&2; exit 2; }
	$(BIN)/python -m counterfoil_lab.recorded --orders "$(ORDERS)" \
		$(if $(ODOO),--odoo "$(ODOO)") $(if $(CATALOGUE),--catalogue "$(CATALOGUE)")

week: .venv/.runtime  ## a shop's week on both sides, judged from outside (ODOO=real or sandbox, COUNT=5000, MOVES=20000)
	$(BIN)/python -m counterfoil_lab.week

# Budget: 10 minutes on two cores, PostgreSQL's start included. The slow ones come first, so that nobody waits for them;
# a third of the time a test waits, so there is one more at work than there are cores.
test: lint  ## lint, then unit, integration and conformance tests
	scripts/postgres up || [ $$? = 77 ]
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder tests/integration tests/conformance tests/unit

# Budget: 10 minutes on two cores.
faults: .venv/.dev  ## what happens when things die: fault tests, then fixed seeds of the soak on both stores
	$(BIN)/pytest -n 4 --dist worksteal tests/faults  # they mostly wait
	$(BIN)/python -m counterfoil_lab.soak --suite

soak: .venv/.runtime  ## a shop under fire, judged from outside (MINUTES=1, SEED=1, STORE=sqlite or postgresql, ODOO=real or sandbox)
	$(BIN)/python -m counterfoil_lab.soak

oversell: .venv/.runtime  ## never oversold: shoppers want more than there is, under fire (SEEDS=100, SEED=1, ODOO=real or sandbox)
	$(BIN)/python -m counterfoil_lab.oversell

# Budget: 10 minutes on two cores, of which about one is for getting Odoo from nothing.
e2e: .venv/.dev  ## tests against a real Odoo 19 and 14
	scripts/odoo19 up
	scripts/odoo14 up || [ $$? = 77 ]
	$(BIN)/pytest tests/e2e

# Budget: 5 minutes on two cores, of which about one is for getting a browser from nothing.
browser: .venv/.dev  ## the console in a real browser: the work of a shop's people; pictures of every page in .bench/console
	$(BIN)/pytest tests/console

lint: .venv/.dev  ## style, types, and that imports point downwards
	$(BIN)/ruff check . scripts/odoo19 scripts/odoo14 scripts/postgres scripts/chromium scripts/promtool scripts/axe scripts/oidc
	$(BIN)/ruff format --check . scripts/odoo19 scripts/odoo14 scripts/postgres scripts/chromium scripts/promtool scripts/axe scripts/oidc
	$(BIN)/mypy
	$(BIN)/lint-imports

bench-hub: .venv/.dev  ## the hub itself: the door and delivery, durability on (GROWTH=1000000: also as it grows, beside others)
	$(BIN)/python bench/hub.py $(if $(GROWTH),--growth $(GROWTH))

bench-odoo: .venv/.dev  ## how fast orders get into a real Odoo 19, durability on
	COUNTERFOIL_ODOO_DURABLE=1 scripts/odoo19 up
	$(BIN)/python bench/odoo.py

bench-stock: .venv/.dev  ## how long a stock change in a real Odoo 19 takes to the shop
	scripts/odoo19 up
	$(BIN)/python bench/stock.py

bench-outage: .venv/.dev  ## how orders fare while a CRM on a defer flow is away for an hour, in ratio to when it is there
	$(BIN)/python bench/outage.py

bench-customers: .venv/.dev  ## 100,000 customers linked on both sides, killed in the middle
	$(BIN)/python bench/customers.py

bench-master: .venv/.dev  ## products, customers and a campaign between a shop and a real Odoo 19, both ways, twice
	scripts/odoo19 up
	$(BIN)/python bench/master.py

bench-catalogue: .venv/.dev  ## 10,000 products linked and published, twice: time and calls per 1,000
	$(BIN)/python bench/catalogue.py

bench-drift: .venv/.dev  ## 10,000 orders and 10,000 articles compared: time, calls, memory, what is found
	$(BIN)/python bench/drift.py

bench-storefront: .venv/.dev  ## how many may be sold: reads/s and p99 beside a real Odoo 19, reservations, memory at 100,000 SKUs
	scripts/odoo19 up
	$(BIN)/python bench/storefront.py

bench-console: .venv/.dev  ## how fast pages and searches are in a browser with 1 million events, in ratio to an empty store, and what workers feel
	$(BIN)/python bench/console.py

reference: .venv/.dev  ## write docs/reference and ops again from the code
	$(BIN)/python scripts/reference.py
	$(BIN)/python scripts/dashboards.py

# The locks hold hashes and no address: where packages come from is the machine's own affair.
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
lock:  ## work the locks out again (needs uv)
	$(COMPILE) pyproject.toml -o requirements.lock
	$(COMPILE) pyproject.toml --extra dev -c requirements.lock -o requirements-dev.lock
	$(COMPILE) scripts/requirements-odoo19.txt -o scripts/requirements-odoo19.lock

clean:  ## remove .venv, caches and what was built; what scripts/odoo19 and scripts/postgres keep stays
	rm -rf .venv .bench build dist .ruff_cache .mypy_cache .pytest_cache .hypothesis .import_linter_cache .counterfoil
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- the virtualenv: .runtime is what a user needs, .dev is what tests need on top -------------------------------

PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps

.venv/bin/python:
	@$(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| { echo "Counterfoil needs Python 3.11 or newer; '$(PY)' is not (say which: make PY=python3.12)" >&2; exit 1; }
	$(PY) -m venv .venv || { rm -rf .venv; exit 1; }

.venv/.runtime: requirements.lock pyproject.toml scripts/link_package.py | .venv/bin/python
	$(PIP) -r requirements.lock
	$(BIN)/python scripts/link_package.py
	@touch $@

.venv/.dev: requirements-dev.lock .venv/.runtime
	$(PIP) -r requirements-dev.lock
	@touch $@
