# One image per service:  docker build --build-arg PACKAGE=dispatcher -t waybill-dispatcher .
# It runs as a user without rights, writes nothing to its own file system, and reads secrets from files.

FROM node:26-bookworm-slim AS node
WORKDIR /app

# Only the manifests, so that dependencies are installed anew when one of them changes and not with every change.
FROM node AS manifests
COPY package.json package-lock.json ./
COPY packages packages
RUN find packages -type f ! -name package.json -delete

# The same for every service, so that all images share this layer. npm links the workspaces: the links stay, because
# Node strips types through them and not inside node_modules.
FROM node AS dependencies
COPY --from=manifests /app ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

# Makes the secrets of docker-compose.yml. A new volume takes over the owner of the folder it is mounted on.
FROM node AS secrets
COPY --from=manifests /app/packages packages
RUN for package in packages/*; do install -d -o node -g node "/run/secrets/broker-${package#packages/}"; done \
  && install -d -o node -g node /run/secrets/broker /run/secrets/internal /run/secrets/grafana \
    /run/secrets/private-keys /run/secrets/public-key /run/secrets/results
COPY bin/make-secrets.mjs bin/
COPY bin/plain/broker-users.mjs bin/plain/packaged-listeners.mjs bin/plain/sealing-keys.mjs bin/plain/
USER node
CMD ["node", "bin/make-secrets.mjs", "/run/secrets"]

FROM node AS service
# The folder in packages/.
ARG PACKAGE
# Inside a container every address is its own, and health is on one port whatever the service.
ENV NODE_ENV=production HOST=0.0.0.0 HEALTH_PORT=8088 SHUTDOWN_PAUSE_MS=3000 OTEL_SERVICE_NAME=${PACKAGE}
COPY --from=dependencies /app ./
# What a service may import: common with the protocols it loads, a listener the framework, and public-web the mesh; the client is
# what it serves in development.
COPY proto proto
COPY packages/common packages/common
COPY packages/listener packages/listener
COPY packages/mesh packages/mesh
COPY packages/client packages/client
COPY packages/${PACKAGE} packages/${PACKAGE}
COPY bin/health.sh bin/
WORKDIR /app/packages/${PACKAGE}
RUN test -f src/main.ts || { echo "--build-arg PACKAGE=<folder in packages/> is missing or wrong" >&2; exit 1; }
# A new volume takes over the owner of the folder it is mounted on: that of the store.
RUN install -d -o node -g node /var/lib/waybill
USER node
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --start-interval=1s --retries=3 \
  CMD ["bash", "/app/bin/health.sh"]
CMD ["node", "--import", "@waybill/common/telemetry", "src/main.ts"]
