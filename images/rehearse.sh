#!/bin/sh
# Build the Dockerfile for real where there is no Docker engine and no registry: by buildah, on a
# stand-in for the base image (Debian by debootstrap, and this machine's Python 3.11). Needs root and
#   apt-get install buildah debootstrap
# Shows that every step runs and what the layers weigh; what it builds is not for use.
#   sh images/rehearse.sh control [train assistant llm]
set -eu
cd "$(dirname "$0")/.."
work=${WORK:-/var/tmp/tastemaker-rehearsal}
base=$(sed -n 's/^ARG BASE=//p' Dockerfile)
version=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
python=$(python3.11 -c 'import sys; print(sys.base_prefix)')

stand_in() {
  root=$work/root
  debootstrap --variant=minbase --include=ca-certificates,netbase,tzdata,libssl3,libsqlite3-0,libffi8,libreadline8,libexpat1 \
    bookworm "$root" >"$work/debootstrap.log"
  tar -C "$python" --exclude='lib/python3.11/test' --exclude='*/site-packages' --exclude='*.a' \
    --exclude='__pycache__' --exclude='bin/pip*' -cf - bin include lib | tar -xf - -C "$root/usr/local"
  ln -sf python3.11 "$root/usr/local/bin/python"
  chroot "$root" ldconfig
  chroot "$root" /usr/local/bin/python -m ensurepip >/dev/null
  cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/" # of a proxy, where there is one
  tar -C "$root" -cf "$work/base.tar" .
  container=$(buildah from scratch)
  buildah add -q "$container" "$work/base.tar" / >/dev/null
  certificates=/etc/ssl/certs/ca-certificates.crt
  buildah config --env PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    --env SSL_CERT_FILE=$certificates --env PIP_CERT=$certificates "$container"
  buildah commit -q --rm "$container" "$base"
}

mkdir -p "$work/no-wheels"
buildah inspect --type image "$base" >/dev/null 2>&1 || stand_in
wheels=${PIP_FIND_LINKS:-$work/no-wheels}
for role in "$@"; do
  buildah bud --layers --isolation chroot --format docker --pull-never --target "$role" \
    --build-context "wheels=${wheels#file://}" --build-arg "VERSION=$version" \
    --build-arg "REVISION=$(git rev-parse HEAD)" -t "tastemaker/$role:$version" .
  buildah images --format "{{.Name}}:{{.Tag}} {{.Size}}" "localhost/tastemaker/$role:$version"
done
