module github.com/stoa-io/stoa/test/compat/go

go 1.26.0

require (
	github.com/gobwas/ws v1.5.0
	github.com/kataras/neffos v0.0.24
	github.com/stoa-io/stoa v0.0.0
)

require (
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/gobwas/httphead v0.1.0 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/gorilla/websocket v1.5.3 // indirect
	github.com/redis/go-redis/v9 v9.23.0 // indirect
	go.uber.org/atomic v1.12.0 // indirect
	golang.org/x/sys v0.48.0 // indirect
)

replace github.com/stoa-io/stoa => ../../..
