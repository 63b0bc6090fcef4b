# One image for each service and for the command: `docker run … IMAGE serve issuer`, `… IMAGE verify --log /data/evidence/log`.
# For two architectures, with annotations, provenance and SBOM: docker-bake.hcl. How a release is made: docs/contributing/releasing.md
#
# The base image is named by version and not by digest. A digest names one build: it must be looked up in the registry, where a
# build for each architecture and each rebuild with Debian's mended packages has another one. A release pins what it was built on:
#   docker buildx build --build-arg NODE=node:26.10.0-bookworm-slim@sha256:…
ARG NODE=node:26.10.0-bookworm-slim

FROM ${NODE} AS installed
WORKDIR /app
COPY . .
# Only what runs: neither the tests' packages nor the Node that the repository brings along for machines without one.
RUN npm ci --ignore-scripts --omit=dev --no-audit --no-fund \
    --workspace packages/cli --workspace services/standalone \
    --workspace services/approval --workspace services/issuer --workspace services/policy-decision --workspace services/plain-pdp \
    --workspace services/evidence --workspace services/gateway

# What the browser gets is built with its own packages, none of which runs in the service.
FROM ${NODE} AS console
WORKDIR /app
COPY . .
RUN npm ci --ignore-scripts --no-audit --no-fund --workspace packages/console \
    && node scripts/build-console.mjs

# Nothing is installed by Debian's package manager: the official image keeps what its Node is linked to, libatomic1 among it.
FROM ${NODE}
# A named volume takes the owner of the folder that it is first mounted over.
RUN install -d -o node -g node -m 0700 /data /volumes /volumes/installation /volumes/approval /volumes/issuer \
       /volumes/policy-decision-1 /volumes/policy-decision-2 /volumes/evidence /volumes/kafka-users
COPY --from=installed /app /app
COPY --from=console /app/packages/console/dist /app/packages/console/dist
RUN ln -s /app/packages/cli/src/main.ts /usr/local/bin/bailiwick
# It writes below /data and /tmp and nowhere else, so the root file system may be read-only.
# `container`: what it prints for people is for people outside (systemd's container interface).
ENV NODE_ENV=production BAILIWICK_DATA=/data container=oci
USER 1000:1000
WORKDIR /data
EXPOSE 8420 8421 8422 8423 8424 8425
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=3 CMD ["/app/infra/docker/healthy.sh"]
ENTRYPOINT ["bailiwick"]
CMD ["serve"]
# Last, so that another revision reuses every layer above. `source` and `url` are the publisher's: docker-bake.hcl adds them.
ARG NODE
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Bailiwick" \
      org.opencontainers.image.description="Governs what AI agents may do: approvals by passkey, credentials for minutes, a policy decision for each action, evidence that strangers can verify" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${NODE}"
