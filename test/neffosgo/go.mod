module github.com/stoa-io/stoa/test/neffosgo

go 1.26.0

require (
	github.com/gorilla/websocket v1.5.3
	github.com/kataras/neffos v0.0.24
	github.com/stoa-io/stoa v0.0.0
)

replace github.com/stoa-io/stoa => ../..
