#!/bin/sh
# What every image has besides Python: an init that passes signals on and reaps children, the user
# that runs, nothing that installs packages.
set -eu
apt-get update -qq
apt-get install -y -qq --no-install-recommends tini >/dev/null
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/apt /var/log/dpkg.log
python -m pip uninstall -q -y --root-user-action=ignore setuptools wheel pip
rm -f /usr/local/bin/pip* /usr/local/bin/wheel
rm -rf /usr/local/lib/python3.*/ensurepip
groupadd --gid 10001 tastemaker
useradd --uid 10001 --gid 10001 --no-log-init --home-dir /home/tastemaker --no-create-home \
  --shell /usr/sbin/nologin tastemaker
install -d -o 10001 -g 10001 -m 0755 /home/tastemaker
