# Two commands: `make up` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3)
CATALOG ?= demo
PRESET ?=
PORT ?= 8400
QUESTION ?=
export TASTEMAKER_HOME ?= $(CURDIR)/.tastemaker
export PYTHONDONTWRITEBYTECODE =
T := .venv/bin/tastemaker

.DEFAULT_GOAL := help
.PHONY: help setup up down test test-slow check lock images clean

help: ## Show this list.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-9s %s\n", $$1, $$2}'
	@echo 'Settings: CATALOG=demo|fashion|ikea-home|folder:/path  PRESET=  PORT=8400  QUESTION="..."'

setup: ## Make both environments from their locks (nothing to do when they are current).
	@$(PYTHON) locks/install.py

up: setup ## Set up, run the chain, start the assistant in the background, ask it a first question.
	@$(T) up --port $(PORT) --check
	@$(T) pipeline run full_stack --catalog '$(CATALOG)' $(if $(PRESET),--preset '$(PRESET)')
	@$(T) up --port $(PORT)
	@$(T) ask --url http://127.0.0.1:$(PORT) $(if $(QUESTION),"$(QUESTION)",--first)
	@echo "The page: http://127.0.0.1:$(PORT)/    make down stops everything."

down: ## Stop the assistant and every model server.
	@if [ -x $(T) ]; then $(T) down; else echo 'nothing was running'; fi

test: setup ## Lint, types, layers and the tests that need no minutes of their own.
	@.ci/check
	@.venv/bin/python -m pytest -q -m 'not slow'

test-slow: setup ## The others: the whole chain, real vLLM, KServe, Ray, Chromium, images. TESTS=folder
	@.venv/bin/python -m pytest -q -m slow $(TESTS)

check: ## Lint, types and layers only.
	@.ci/check

lock: ## Resolve every lock anew (the only command that changes them).
	@.venv/bin/python locks/resolve.py

images: ## Build every image: VERSION=, VARIANT=cpu|cuda, REGISTRY=, PUSH=1.
	@$(PYTHON) -m images.build $(if $(VERSION),--version '$(VERSION)') $(if $(VARIANT),--variant '$(VARIANT)') \
	  $(if $(REGISTRY),--registry '$(REGISTRY)') $(if $(PUSH),--push)

clean: down ## Remove the home and the environments.
	@rm -rf .tastemaker .venv .venv-llm
