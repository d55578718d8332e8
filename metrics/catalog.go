package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/stoa-io/stoa/node"
)

// The metrics that have labels or buckets.
var (
	buildInfo = describe("build_info",
		"The program that runs; the value is always 1.", "version", "revision", "goversion")
	handshakes = describe("handshakes_total",
		"Attempts to open a WebSocket, by result.", "result")
	userRefusals = describe("user_refusals_total",
		"Connections of users that were refused or closed, by reason: blocked, beyond the limit of connections per user, or not subscribed in time.", "reason")
	proxyErrors = describe("proxy_errors_total",
		"Connections and requests of proxies that do not tell the client's address, by reason.", "reason")
	messagesReceived = describe("messages_received_total",
		"Messages from clients, by frame type and by what became of them.", "type", "result")
	handlers = describe("handlers_total",
		"Calls of the application's handlers that have returned, by kind and result.", "kind", "result")
	ratesExceeded = describe("rates_exceeded_total",
		"Pauses of clients that exceed a rate.", "rate")
	limitsExceeded = describe("limits_exceeded_total",
		"Messages and requests of clients beyond a limit.", "limit")
	closes = describe("closes_total",
		"Connections ended, by close code and by the side that ended them.", "code", "initiator")
	renewals = describe("renewals_total",
		"Tokens that clients handed in over open connections, by result.", "result")
	volatileDropped = describe("volatile_dropped_total",
		"Volatile messages dropped: deliveries to members whose sockets do not keep up (slow), and messages for all members while a queue is long (congested).", "reason")
	denied = describe("denied_total",
		"Messages and requests of clients that a rule of their namespace refused, by namespace and rule.", "namespace", "rule")
	framesPerWrite = describe("frames_per_write",
		"Frames that left in one write.")
	loopLag = describe("loop_lag_seconds",
		"How late a loop served its timer.")
)

// scalar is a metric of one value.
type scalar struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*node.Stats) float64
}

var scalars = []scalar{
	gauge("connections", "Open WebSocket connections.",
		func(s *node.Stats) float64 { return float64(s.Connections) }),
	gauge("connection_limit", "Connections beyond which upgrades are answered with 503; 0: no limit.",
		func(s *node.Stats) float64 { return float64(s.ConnectionLimit) }),
	gauge("pending_handshakes", "Accepted sockets whose handshake is not finished.",
		func(s *node.Stats) float64 { return float64(s.Pending) }),
	gauge("paused_connections", "Connections paused because the broker is congested.",
		func(s *node.Stats) float64 { return float64(s.Paused) }),
	gauge("addresses", "Client addresses that are kept for their limits.",
		func(s *node.Stats) float64 { return float64(s.Addresses) }),
	gauge("over_rate_connections", "Connections paused because they exceed a rate.",
		func(s *node.Stats) float64 { return float64(s.OverRate) }),
	counter("sockets_accepted_total", "Sockets accepted, those of plain HTTP included.",
		func(s *node.Stats) float64 { return float64(s.Accepted) }),
	counter("accept_errors_total", "Failed accepts.",
		func(s *node.Stats) float64 { return float64(s.AcceptErrors) }),
	counter("http_handovers_total", "Sockets handed to net/http because they asked for no WebSocket.",
		func(s *node.Stats) float64 { return float64(s.HandedToHTTP) }),
	counter("http_evictions_total", "Connections of net/http closed because descriptors had run out.",
		func(s *node.Stats) float64 { return float64(s.HTTPEvicted) }),
	counter("pings_sent_total", "WebSocket pings sent.",
		func(s *node.Stats) float64 { return float64(s.PingsSent) }),
	counter("deliveries_dropped_total", "Deliveries dropped for members that do not read fast enough.",
		func(s *node.Stats) float64 { return float64(s.DeliveriesDropped) }),
	counter("send_queue_exceeded_total", "Send queues that exceeded their limit; their connections had to catch up.",
		func(s *node.Stats) float64 { return float64(s.SendQueueExceeded) }),
	counter("senders_paused_total", "Short pauses of clients whose messages met such a send queue.",
		func(s *node.Stats) float64 { return float64(s.SendersPaused) }),
	counter("shares_exceeded_total", "Pauses of clients that publish faster than their messages are delivered.",
		func(s *node.Stats) float64 { return float64(s.SharesExceeded) }),
	counter("expiry_notices_total", "Notices to clients that their identity is about to end.",
		func(s *node.Stats) float64 { return float64(s.ExpiryNotices) }),
	counter("asks_skipped_total", "Asks that were not sent to a client with too many open ones.",
		func(s *node.Stats) float64 { return float64(s.AsksSkipped) }),
	gauge("open_asks", "Asks to clients of this node that have no answer yet.",
		func(s *node.Stats) float64 { return float64(s.OpenAsks) }),
	counter("messages_sent_total", "Data frames queued for clients, deliveries not included.",
		func(s *node.Stats) float64 { return float64(s.MessagesOut) }),
	counter("deliveries_total", "Deliveries, one for each message and each member that gets it.",
		func(s *node.Stats) float64 { return float64(s.Deliveries) }),
	counter("dropped_frames_total", "Frames queued and not written when their connection ended.",
		func(s *node.Stats) float64 { return float64(s.DroppedFrames) }),
	counter("received_bytes_total", "Bytes read from sockets, framing included.",
		func(s *node.Stats) float64 { return float64(s.BytesIn) }),
	counter("sent_bytes_total", "Bytes written to sockets, framing included.",
		func(s *node.Stats) float64 { return float64(s.BytesOut) }),
	gauge("queue_bytes", "Bytes that wait to be written to sockets, overhead included.",
		func(s *node.Stats) float64 { return float64(s.QueueBytes) }),
	gauge("queue_memory_bytes", "Bytes of all queues that Limits.QueueMemory bounds, overhead included.",
		func(s *node.Stats) float64 { return float64(s.QueueMemory) }),
	gauge("queue_memory_limit_bytes", "Limits.QueueMemory; 0: no limit.",
		func(s *node.Stats) float64 { return float64(s.MemoryLimit) }),
	counter("queue_memory_closes_total", "Connections closed because the queues exceeded Limits.QueueMemory.",
		func(s *node.Stats) float64 { return float64(s.MemoryCloses) }),
	gauge("history_rooms", "Rooms with history that have a member on this node.",
		func(s *node.Stats) float64 { return float64(s.History.Rooms) }),
	gauge("history_bytes", "Bytes of the recent messages of these rooms that the node holds.",
		func(s *node.Stats) float64 { return float64(s.History.Bytes) }),
	counter("history_reads_total", "Reads of the broker's history.",
		func(s *node.Stats) float64 { return float64(s.History.Reads) }),
	counter("history_read_errors_total", "Reads of the broker's history that failed.",
		func(s *node.Stats) float64 { return float64(s.History.ReadErrors) }),
	counter("history_recovered_total", "Joins of clients that received all messages that they had missed.",
		func(s *node.Stats) float64 { return float64(s.History.Recovered) }),
	counter("history_not_recovered_total", "Joins of clients for which messages were missing.",
		func(s *node.Stats) float64 { return float64(s.History.NotRecovered) }),
	counter("history_repaired_total", "Messages that the node has read after an interruption of its subscriptions.",
		func(s *node.Stats) float64 { return float64(s.History.Repaired) }),
	counter("history_gaps_total", "Rooms with history whose gap after an interruption could not be filled.",
		func(s *node.Stats) float64 { return float64(s.History.Gaps) }),
	counter("history_evicted_total", "Messages that have left the memory broker's histories because of Limits.HistoryMemory.",
		func(s *node.Stats) float64 { return float64(s.History.Evicted) }),
	counter("history_confirmed_total", "Confirmed emits that the broker has stored, further copies included.",
		func(s *node.Stats) float64 { return float64(s.History.Confirmed) }),
	counter("history_unconfirmed_total", "Confirmed emits that the broker has refused, or whose outcome is unknown.",
		func(s *node.Stats) float64 { return float64(s.History.Unconfirmed) }),
	gauge("presence_rooms", "Rooms with presence that have a member on this node.",
		func(s *node.Stats) float64 { return float64(s.Presence.Rooms) }),
	gauge("presence_members", "Members of these rooms, on all nodes.",
		func(s *node.Stats) float64 { return float64(s.Presence.Members) }),
	gauge("inbox_bytes", "Bytes of deliveries that wait for a loop.",
		func(s *node.Stats) float64 { return float64(s.InboxBytes) }),
	gauge("congested", "1 while connections that publish are not read, all of them or those of one Redis server, else 0.",
		func(s *node.Stats) float64 { return oneIf(s.Congested) }),
	gauge("handlers_running", "Calls of the application's handlers that have not returned.",
		func(s *node.Stats) float64 { return float64(s.Handlers.Running) }),
	gauge("handlers_queued", "Connections that wait until their namespace may run one more handler.",
		func(s *node.Stats) float64 { return float64(s.Handlers.Queued) }),
	gauge("handler_bytes", "Bytes of messages that are handled or wait for that, overhead included.",
		func(s *node.Stats) float64 { return float64(s.Handlers.Bytes) }),
	gauge("rooms", "Rooms with a member, counted once for each loop that has one.",
		func(s *node.Stats) float64 { return float64(s.Rooms) }),
	gauge("memberships", "Memberships: pairs of a connection and a room.",
		func(s *node.Stats) float64 { return float64(s.Memberships) }),
	gauge("users", "Users with a connection, counted once for each loop that has one.",
		func(s *node.Stats) float64 { return float64(s.Users) }),
	gauge("user_connections", "Connections of users.",
		func(s *node.Stats) float64 { return float64(s.UserConns) }),
	gauge("blocked_users", "Users that are blocked.",
		func(s *node.Stats) float64 { return float64(s.BlockedUsers) }),
	gauge("subscriptions", "Channels subscribed at the broker.",
		func(s *node.Stats) float64 { return float64(s.Subscriptions) }),
	gauge("loops", "Event loops.",
		func(s *node.Stats) float64 { return float64(s.Loops) }),
	counter("loop_turns_total", "Turns of all loops.",
		func(s *node.Stats) float64 { return float64(s.Turns) }),
	gauge("pending_calls", "Asks of this node and its clients to others that wait for answers.",
		func(s *node.Stats) float64 { return float64(s.PendingCalls) }),
	counter("late_answers_total", "Answers that arrived after their ask had ended.",
		func(s *node.Stats) float64 { return float64(s.LateAnswers) }),
	counter("bad_requests_total", "Malformed requests of other nodes.",
		func(s *node.Stats) float64 { return float64(s.BadRequests) }),
	counter("certificate_errors_total", "Changes of the TLS certificate's files that left none to use: the one before stays.",
		func(s *node.Stats) float64 { return float64(s.CertificateErrors) }),
	gauge("draining", "1 while the node shuts down, else 0.",
		func(s *node.Stats) float64 { return oneIf(s.Draining) }),
}

func gauge(name, help string, value func(*node.Stats) float64) scalar {
	return scalar{describe(name, help), prometheus.GaugeValue, value}
}

func counter(name, help string, value func(*node.Stats) float64) scalar {
	return scalar{describe(name, help), prometheus.CounterValue, value}
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("stoa_"+name, help, labels, nil)
}

func oneIf(condition bool) float64 {
	if condition {
		return 1
	}
	return 0
}
