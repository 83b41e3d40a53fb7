#!/bin/sh
# What vLLM needs besides its wheels: libnuma on CPUs; on GPUs a C compiler too, because Triton
# compiles a launcher for each kernel when it is first used.
#   sh llm_packages.sh cpu|cuda
set -eu
packages="libnuma1"
[ "$1" = cuda ] && packages="$packages gcc libc6-dev"
apt-get update -qq
# shellcheck disable=SC2086  # a list of words
apt-get install -y -qq --no-install-recommends $packages >/dev/null
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log
