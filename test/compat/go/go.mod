module github.com/stoa-io/stoa/test/compat/go

go 1.26.0

require (
	github.com/gobwas/ws v1.5.0
	github.com/kataras/neffos v0.0.24
	github.com/stoa-io/stoa v0.0.0
)

require (
	github.com/gobwas/httphead v0.1.0 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/gorilla/websocket v1.5.3 // indirect
	golang.org/x/sys v0.48.0 // indirect
)

replace github.com/stoa-io/stoa => ../../..
