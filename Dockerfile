# Two static binaries, and nothing else, in an image without a shell.
#
#   docker build -t habilita --build-arg COMMIT=$(git rev-parse HEAD) --build-arg DATE=$(date -u +%Y-%m-%dT%H:%M:%SZ) .
#   docker run --rm habilita --version
#   docker run --rm --entrypoint /usr/local/bin/enqueue habilita --help

FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# What --version tells; both may be left out.
ARG COMMIT=
ARG DATE=
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w -X habilita/internal/version.commit=$COMMIT -X habilita/internal/version.date=$DATE" -o /out/ ./cmd/worker ./cmd/enqueue

FROM scratch
# The vendor is called over https. Time zones are in the binaries.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/worker /out/enqueue /usr/local/bin/
# Nobody in particular, and not root. It needs no file but the sealing keys.
USER 65532:65532
# Outside its container, 127.0.0.1 is somebody else. An address that others can reach
# needs HABILITA_API_KEYS or HABILITA_API_KEYS_FILE, or the worker does not start.
ENV LISTEN=0.0.0.0:8080
EXPOSE 8080
# No HEALTHCHECK: orchestrators ask /healthz (the process lives) and /readyz (it takes calls)
# from outside. "worker probe" asks /readyz from inside, as docker-compose.yml does.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/worker"]
