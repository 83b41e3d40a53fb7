#!/bin/sh
# What a role needs besides its wheels.
#   sh role_packages.sh control|train|llm cpu|cuda
set -eu
case "$1" in
  control) packages="git openssh-client" ;; # promotions are commits
  train) packages="git openssh-client wget" ;; # wget: KubeRay's default probes of a Ray node
  llm) packages="libnuma1" ;; # vLLM on CPUs
esac
# Triton compiles a launcher for each kernel when it is first used.
[ "$2" = cuda ] && packages="$packages gcc libc6-dev"
apt-get update -qq
# shellcheck disable=SC2086  # a list of words
apt-get install -y -qq --no-install-recommends $packages >/dev/null
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log
