# A static binary and nothing else: no shell, no package manager, no root.
#
#   docker build -t stoa .
#   docker run -p 8080:8080 stoa serve --listen :8080 --allow-unauthenticated

# Equal to the file VERSION; make lint compares both.
ARG VERSION=0.1.0

FROM golang:1.26-alpine AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false \
    -ldflags "-s -w -X github.com/stoa-io/stoa/cmd/stoa/internal/cli.version=${VERSION}" -o /stoa ./cmd/stoa

FROM scratch
ARG VERSION
LABEL org.opencontainers.image.title="stoa" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.source="https://github.com/stoa-io/stoa"
# CA certificates for Redis over TLS (rediss://).
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /stoa /stoa
USER 65532:65532
EXPOSE 8080
# SIGTERM drains the node. The container runtime must wait longer than --drain-timeout
# before it sends SIGKILL.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/stoa"]
# Without --allow-unauthenticated stoa refuses to listen on a non-loopback address.
# The operator makes that decision.
CMD ["serve", "--listen", ":8080"]
