# A static binary and nothing else: no shell, no package manager, no root.
#
#   docker build --build-arg VERSION=0.1.0 -t stoa .
#   docker run -p 8080:8080 stoa serve --listen :8080 --allow-unauthenticated

FROM golang:1.26-alpine AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=""
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false \
    -ldflags "-s -w -X github.com/stoa-io/stoa/cmd/stoa/internal/cli.version=${VERSION}" -o /stoa ./cmd/stoa

FROM scratch
# For Redis over TLS (rediss://).
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /stoa /stoa
USER 65532:65532
EXPOSE 8080
# SIGTERM drains; give it longer than --drain-timeout before the container is killed.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/stoa"]
# Without authentication the program refuses to listen on more than the loopback
# interface unless --allow-unauthenticated is added; that is for whoever runs the
# image to say.
CMD ["serve", "--listen", ":8080"]
