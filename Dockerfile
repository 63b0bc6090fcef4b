# One image for each service and for the command: `docker run … IMAGE serve issuer`, `… IMAGE verify --log /data/evidence/log`.
# Pinned by version. Add the digest (@sha256:…) that your registry shows: none could be looked up where this was written.
FROM node:26.10.0-bookworm-slim AS installed
WORKDIR /app
COPY . .
# Only what runs: neither the tests' packages nor the Node that the repository brings along for machines without one.
RUN npm ci --ignore-scripts --omit=dev --no-audit --no-fund \
    --workspace packages/cli --workspace services/standalone \
    --workspace services/approval --workspace services/issuer --workspace services/policy-decision --workspace services/evidence

# What the browser gets is built with its own packages, none of which runs in the service.
FROM node:26.10.0-bookworm-slim AS console
WORKDIR /app
COPY . .
RUN npm ci --ignore-scripts --no-audit --no-fund --workspace packages/console \
    && node scripts/build-console.mjs

FROM node:26.10.0-bookworm-slim
# Debian keeps no old versions of a package to pin.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libatomic1 \
    && rm -rf /var/lib/apt/lists/* \
    # A named volume takes the owner of the folder that it is first mounted over.
    && install -d -o node -g node -m 0700 /data /volumes /volumes/installation /volumes/approval /volumes/issuer \
       /volumes/policy-decision-1 /volumes/policy-decision-2 /volumes/evidence /volumes/kafka-users
COPY --from=installed /app /app
COPY --from=console /app/packages/console/dist /app/packages/console/dist
RUN ln -s /app/packages/cli/src/main.ts /usr/local/bin/bailiwick
# It writes below /data and /tmp and nowhere else, so the root file system may be read-only.
ENV NODE_ENV=production BAILIWICK_DATA=/data
USER 1000:1000
WORKDIR /data
EXPOSE 8420 8421 8422 8423 8424
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=3 CMD ["/app/infra/docker/healthy.sh"]
ENTRYPOINT ["bailiwick"]
CMD ["serve"]
