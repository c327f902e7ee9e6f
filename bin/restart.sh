#!/usr/bin/env bash
# Restarts services of the stack, with the code as it is now; the broker and its queues stay. There are as many of each
# afterwards as run now, on the ports they have now.
#   bin/restart.sh                all of them
#   bin/restart.sh dispatcher     these
set -euo pipefail
cd "$(dirname "$0")/.."

services=("$@")
if [ ${#services[@]} -eq 0 ]; then
  # A service is ours if its package is here.
  for service in $(docker compose config --services); do
    if [ -d "packages/$service" ]; then services+=("$service"); fi
  done
fi

# Otherwise `up` would make of each what docker-compose.yml says without the variables that it was started with.
scales=()
for service in "${services[@]}"; do
  running=$(docker compose ps --quiet "$service" | wc -l)
  if [ "$running" -gt 0 ]; then scales+=(--scale "$service=$running"); fi
done

# The port of this machine, or the range of them, that was asked for and leads to a port of a service; if none, nothing.
port_of() {
  local containers
  containers=$(docker compose ps --quiet "$1")
  [ -z "$containers" ] || docker inspect "${containers%%$'\n'*}" \
    --format "{{with index .HostConfig.PortBindings \"$2/tcp\"}}{{(index . 0).HostPort}}{{end}}"
}
PUBLIC_WEB_PORT=${PUBLIC_WEB_PORT:-$(port_of public-web 8080)}
PUBLIC_WEB_GRPC_PORT=${PUBLIC_WEB_GRPC_PORT:-$(port_of public-web 50051)}
TCP_PORT=${TCP_PORT:-$(port_of data-dispatch-listener 9000)}
export PUBLIC_WEB_PORT PUBLIC_WEB_GRPC_PORT TCP_PORT

docker compose build "${services[@]}"
docker compose up --detach --no-deps --force-recreate --wait ${scales[@]+"${scales[@]}"} "${services[@]}"
