package auth_test

import (
	"context"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/stoa-io/stoa/auth"
	"github.com/stoa-io/stoa/internal/testkit"
	"github.com/stoa-io/stoa/node"
)

// BenchmarkHandshake measures the processor time of a WebSocket, from dial to
// the end of the answer, both ends included: without an accept handler, with
// one that does nothing, and with tokens.
func BenchmarkHandshake(b *testing.B) {
	run := func(name, line string, handlers ...node.AcceptHandler) {
		b.Run(name, func(b *testing.B) {
			n := startNode(b, node.Config{Loops: 1}, handlers...)
			request := []byte(testkit.UpgradeRequest("/ws", line))
			answer := make([]byte, 512)
			before := processTime(b)
			for b.Loop() {
				conn, err := net.Dial("tcp", n.Addr().String())
				if err != nil {
					b.Fatal(err)
				}
				if _, err := conn.Write(request); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadAtLeast(conn, answer, len("HTTP/1.1 101")); err != nil || string(answer[9:12]) != "101" {
					b.Fatalf("answered with %s, %v", answer[:12], err)
				}
				_ = conn.Close()
			}
			b.ReportMetric(float64((processTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
		})
	}
	header := func(algorithm string) string {
		return "Authorization: Bearer " + sign(b, algorithm, signingKey(algorithm), "k", ann(nil))
	}
	run("open", header("HS256"))
	run("empty handler", header("HS256"), func(context.Context, *node.Accept) error { return nil })
	for _, algorithm := range []string{"HS256", "ES256", "RS256"} {
		verifier := newJWT(b, auth.JWTConfig{Keys: []auth.VerificationKey{keyFor(b, algorithm, "k")}, Required: true})
		run(algorithm, header(algorithm), verifier.Accept)
	}
}

// processTime is the processor time of this process.
func processTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
