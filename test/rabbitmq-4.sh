#!/usr/bin/env bash
# Runs the tests on the newest RabbitMQ, that of Debian unstable, which is put into a folder of its own the first time
# (300 MB, a minute). Needs Debian or Ubuntu, root, and the package debootstrap.
#   test/rabbitmq-4.sh                                         npm test
#   test/rabbitmq-4.sh npm run test:faults -- --seed 7         any other command
#   RABBITMQ_4_FOLDER=… DEBIAN_MIRROR=… test/rabbitmq-4.sh     another folder, another mirror
# Nothing stays mounted, and no service is started: to be rid of it, or to get a newer one, remove the folder.
set -euo pipefail
cd "$(dirname "$0")/.."

folder="$(realpath -m "${RABBITMQ_4_FOLDER:-/var/cache/waybill-rabbitmq-4}")"
mirror="${DEBIAN_MIRROR:-http://deb.debian.org/debian}"

install_rabbitmq() {
  if [ "$(id -u)" != 0 ] || ! command -v debootstrap >/dev/null; then
    echo "needs root, and debootstrap: apt-get install debootstrap" >&2
    exit 1
  fi
  mkdir -p "$folder"
  debootstrap --variant=minbase --include=rabbitmq-server unstable "$folder/debian" "$mirror"
  echo '127.0.0.1 localhost' >"$folder/debian/etc/hosts"
  rm -rf "$folder"/debian/var/cache/apt/archives/*.deb
}

# One script under three names. It becomes the program of that name, with the same process id, so that signals reach
# it; the mounts are its own and end with it.
write_scripts() {
  mkdir -p "$folder/bin"
  cat >"$folder/bin/epmd" <<'SCRIPT'
#!/bin/sh
exec unshare --mount sh -euc '
  debian=$1 program=$2
  shift 2
  for shared in proc dev tmp; do mount --rbind "/$shared" "$debian/$shared"; done
  cd "$debian"
  exec chroot . /usr/bin/env PATH=/usr/lib/rabbitmq/bin:/usr/sbin:/usr/bin:/sbin:/bin "$program" "$@"
' sh "$(dirname "$0")/../debian" "$(basename "$0")" "$@"
SCRIPT
  chmod +x "$folder/bin/epmd"
  cp "$folder/bin/epmd" "$folder/bin/rabbitmq-server"
  cp "$folder/bin/epmd" "$folder/bin/rabbitmqctl"
}

if [ ! -e "$folder/bin/rabbitmqctl" ]; then
  rm -rf --one-file-system "$folder/debian"
  install_rabbitmq
  write_scripts
fi

# The brokers' folders are in the temporary folder, which must be the same on both sides.
export TMPDIR=/tmp TEST_RABBITMQ="$folder/bin"
dpkg-query --admindir="$folder/debian/var/lib/dpkg" --show rabbitmq-server # rabbitmqctl would leave an epmd behind
if [ $# -eq 0 ]; then set -- npm test; fi
exec "$@"
