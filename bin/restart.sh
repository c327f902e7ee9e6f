#!/usr/bin/env bash
# Restarts services of the stack, with the code as it is now; the broker and its queues stay.
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
docker compose build "${services[@]}"
docker compose up --detach --no-deps --force-recreate --wait "${services[@]}"
