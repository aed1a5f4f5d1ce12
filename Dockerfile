# syntax=docker/dockerfile:1

# The builder and the final image are of one Debian release, so that the glibc linked against is the one found.
FROM rust:1.95-slim-trixie AS build
ARG TARGETPLATFORM
WORKDIR /src
# The allocator is C, built with make.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends make \
    && rm -rf /var/lib/apt/lists/*
COPY . .
# The cache mounts keep downloads and compiled dependencies between builds. They are gone from the layer
# afterwards, so the program is copied out in the same step. No protoc: build.rs compiles the proto itself.
# On arm64 the kernel that will run it may have pages of 64 KiB, and the allocator must know the largest.
RUN --mount=type=cache,id=penstock-registry,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,id=penstock-target-${TARGETPLATFORM},target=/src/target,sharing=locked \
    case "$TARGETPLATFORM" in linux/arm64) export JEMALLOC_SYS_WITH_LG_PAGE=16 ;; esac; \
    cargo build --release --locked --bin penstock \
    && cp target/release/penstock /penstock

# No shell and no package manager: only glibc, libgcc, CA certificates and time zones.
FROM gcr.io/distroless/cc-debian13:nonroot
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="penstock" \
      org.opencontainers.image.description="KEDA external scaler for Redis-backed workers" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /penstock /penstock
# A number, because Kubernetes cannot tell from a name that the user is not root.
USER 65532:65532
# gRPC for KEDA, HTTP for probes and metrics. Nothing is written to disk.
EXPOSE 9090 9091
ENTRYPOINT ["/penstock"]
CMD ["serve"]
