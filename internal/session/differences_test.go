package session_test

import "github.com/stoa-io/stoa/internal/golden"

// untestable are the conversations that say nothing about a session.
var untestable = map[string]string{
	"http-head":               "HTTP only",
	"http-post":               "HTTP only",
	"http-get-gobwas":         "HTTP only",
	"http-get-gorilla":        "HTTP only",
	"http-subprotocol":        "HTTP only: the client drops the connection before the hello",
	"ws-invalid-utf8-gobwas":  "whoever reads frames refuses text that is not UTF-8; it never reaches a session",
	"ws-invalid-utf8-gorilla": "as above; relaying such text kills browsers (bug B12)",
}

type differenceKey struct {
	id   string
	side golden.Side
}

// difference is where a session does not do what was recorded, on purpose.
type difference struct {
	reason string
	// frames are all frames of this side by connection; nil: as recorded.
	frames map[string][]string
	// callbacks are all callbacks of this side; nil: as recorded.
	callbacks []string
}

// In frames the type of a frame that is not text stands before it. The numbers
// are sections of protocol.md, the bugs those of its section 12.
var differences = map[differenceKey]difference{
	{"ack-reject-empty-js", golden.Server}: {
		reason: "with a bare H the dial of neffos.js never ends (protocol.md 2.7)",
		frames: map[string][]string{
			"c1": {
				`Hrefused`,
			},
		},
	},
	{"ack-queue", golden.Server}: {
		reason: "the acknowledgement is the first frame (2.6)",
		frames: map[string][]string{
			"c1": {
				`Aalice`,
				`$1;;;;;;`,
				`$2;default;;echo;0;0;early`,
			},
		},
	},
	{"ack-spoof-A", golden.Server}: {
		reason: "bug B1: a client cannot acknowledge itself",
		frames: map[string][]string{
			"c1": {},
		},
		callbacks: []string{},
	},
	{"ack-spoof-A-bypasses-OnConnect", golden.Server}: {
		reason: "bug B1: a client cannot acknowledge itself",
		frames: map[string][]string{
			"c1": {},
		},
		callbacks: []string{},
	},
	{"ack-spoof-A-after-refusal", golden.Server}: {
		reason: "bug B1: a client cannot acknowledge itself",
		frames: map[string][]string{
			"c1": {},
		},
		callbacks: []string{},
	},
	{"ack-js-frame-before-A", golden.Client}: {
		reason: "what comes before the acknowledgement is held back",
		frames: map[string][]string{
			"c1": {
				`M`,
				`123;;;;;;`,
			},
		},
	},
	{"ack-go-frame-before-A", golden.Client}: {
		reason: "what comes before the acknowledgement is held back, not lost",
		frames: map[string][]string{
			"c1": {
				`M`,
				`123;;;;;;`,
			},
		},
		callbacks: []string{
			`_OnNamespaceConnect "default" "" ""`,
			`_OnNamespaceConnected "default" "" ""`,
		},
	},
	{"ns-connect-binary", golden.Server}: {
		reason: "errors are text frames: neffos.js cannot read them otherwise (3.9)",
		frames: map[string][]string{
			"c1": {
				`Aalice`,
				`$1;;;;;;`,
				`$2;nope;;_OnNamespaceConnect;1;0;bad namespace`,
				`$3;;;;;;`,
			},
		},
	},
	{"ns-connect-parallel-js", golden.Client}: {
		reason: "two connects in flight connect once (5.5)",
		callbacks: []string{
			`_OnNamespaceConnect "default" "" "" local`,
			`_OnNamespaceConnect "default" "" "" local`,
			`_OnNamespaceConnected "default" "" "" local`,
		},
	},
	{"ns-server-connect-empty-error", golden.Server}: {
		reason: "bug B15: an error without a text is an error",
		callbacks: []string{
			`_OnNamespaceConnect "default" "" "" local`,
		},
	},
	{"ns-server-connect-deadlock", golden.Server}: {
		reason: "bug B5: an early event does not keep the answer from being read",
		callbacks: []string{
			`_OnNamespaceConnect "default" "" "" local`,
			`_OnNamespaceConnected "default" "" "" local`,
		},
	},
	{"cs-empty-reply", golden.Server}: {
		reason: "a token and one semicolon is a positive answer (5.12)",
		callbacks: []string{
			`_OnNamespaceConnect "default" "" "" local`,
			`_OnNamespaceConnected "default" "" "" local`,
		},
	},
	{"room-join-no-namespace", golden.Server}: {
		reason: "bug B2: who waits gets an answer",
		frames: map[string][]string{
			"c1": {
				`Aalice`,
				`$1;default;r;_OnRoomJoin;1;0;bad namespace`,
				`$2;default;r;_OnRoomLeave;1;0;bad namespace`,
			},
		},
	},
	{"room-relay-not-member", golden.Server}: {
		reason: "only members emit into a room",
		frames: map[string][]string{
			"c1": {
				`Aa`,
				`$1;;;;;;`,
			},
			"c2": {
				`Ab`,
				`$1;;;;;;`,
				`$2;;;;;;`,
			},
		},
		callbacks: []string{
			`_OnNamespaceConnect "default" "" ""`,
			`_OnNamespaceConnected "default" "" ""`,
			`_OnNamespaceConnect "default" "" ""`,
			`_OnNamespaceConnected "default" "" ""`,
			`_OnRoomJoin "default" "r1" ""`,
			`_OnRoomJoined "default" "r1" ""`,
		},
	},
	{"room-relay-leaks-wait", golden.Server}: {
		reason: "no token goes into a relay (7.4)",
		frames: map[string][]string{
			"c1": {
				`Aa`,
				`$1;;;;;;`,
				`$2;;;;;;`,
			},
			"c2": {
				`Ab`,
				`$1;;;;;;`,
				`$2;;;;;;`,
				`;default;r1;relay-raw;0;0;asked`,
			},
		},
	},
	{"room-relay-error-frame", golden.Server}: {
		reason: "an error that answers nothing is ignored (6.10)",
		frames: map[string][]string{
			"c1": {
				`Aa`,
				`$1;;;;;;`,
				`$2;;;;;;`,
			},
			"c2": {
				`Ab`,
				`$1;;;;;;`,
				`$2;;;;;;`,
			},
		},
		callbacks: []string{
			`_OnNamespaceConnect "default" "" ""`,
			`_OnNamespaceConnected "default" "" ""`,
			`_OnRoomJoin "default" "r1" ""`,
			`_OnRoomJoined "default" "r1" ""`,
			`_OnNamespaceConnect "default" "" ""`,
			`_OnNamespaceConnected "default" "" ""`,
			`_OnRoomJoin "default" "r1" ""`,
			`_OnRoomJoined "default" "r1" ""`,
		},
	},
	{"room-leaveall-js", golden.Server}: {
		reason: "bug B16: _OnRoomLeft with a token is a leave (5.7)",
		frames: map[string][]string{
			"c1": {
				`Aalice`,
				`$6306000000000439562083;;;;;;`,
				`$6306000000000439896419;;;;;;`,
				`$6306000000000440250173;;;;;;`,
				`$6306000000000440613792;;;;;;`,
				`$6306000000000440660552;;;;;;`,
			},
		},
		callbacks: []string{
			`_OnNamespaceConnect "default" "" ""`,
			`_OnNamespaceConnected "default" "" ""`,
			`_OnRoomJoin "default" "r1" ""`,
			`_OnRoomJoined "default" "r1" ""`,
			`_OnRoomJoin "default" "r2" ""`,
			`_OnRoomJoined "default" "r2" ""`,
			`_OnRoomLeave "default" "r1" ""`,
			`_OnRoomLeft "default" "r1" ""`,
			`_OnRoomLeave "default" "r2" ""`,
			`_OnRoomLeft "default" "r2" ""`,
		},
	},
	{"room-leaveall-js", golden.Client}: {
		reason: "bug B16: a leave has the name of a leave",
		frames: map[string][]string{
			"c1": {
				`M`,
				`$1;default;;_OnNamespaceConnect;0;0;`,
				`$2;default;r1;_OnRoomJoin;0;0;`,
				`$3;default;r2;_OnRoomJoin;0;0;`,
				`$4;default;r1;_OnRoomLeave;0;0;`,
				`$5;default;r2;_OnRoomLeave;0;0;`,
			},
		},
	},
	{"room-leaveall-js-answered", golden.Client}: {
		reason: "bug B16: every leave is told for its own room",
		frames: map[string][]string{
			"c1": {
				`M`,
				`$1;default;;_OnNamespaceConnect;0;0;`,
				`$2;default;r1;_OnRoomJoin;0;0;`,
				`$3;default;r2;_OnRoomJoin;0;0;`,
				`$4;default;r3;_OnRoomJoin;0;0;`,
				`$5;default;r1;_OnRoomLeave;0;0;`,
				`$6;default;r2;_OnRoomLeave;0;0;`,
				`$7;default;r3;_OnRoomLeave;0;0;`,
			},
		},
		callbacks: []string{
			`_OnNamespaceConnect "default" "" "" local`,
			`_OnNamespaceConnected "default" "" "" local`,
			`_OnRoomJoin "default" "r1" "" local`,
			`_OnRoomJoined "default" "r1" "" local`,
			`_OnRoomJoin "default" "r2" "" local`,
			`_OnRoomJoined "default" "r2" "" local`,
			`_OnRoomJoin "default" "r3" "" local`,
			`_OnRoomJoined "default" "r3" "" local`,
			`_OnRoomLeave "default" "r1" ""`,
			`_OnRoomLeft "default" "r1" ""`,
			`_OnRoomLeave "default" "r2" ""`,
			`_OnRoomLeft "default" "r2" ""`,
			`_OnRoomLeave "default" "r3" ""`,
			`_OnRoomLeft "default" "r3" ""`,
		},
	},
	{"room-relay-js", golden.Client}: {
		reason: "the recording has the callbacks of one of the two clients",
		callbacks: []string{
			`_OnNamespaceConnect "default" "" "" local`,
			`_OnNamespaceConnected "default" "" "" local`,
			`_OnRoomJoin "default" "r1" "" local`,
			`_OnRoomJoined "default" "r1" "" local`,
			`_OnNamespaceConnect "default" "" "" local`,
			`_OnNamespaceConnected "default" "" "" local`,
			`_OnRoomJoin "default" "r1" "" local`,
			`_OnRoomJoined "default" "r1" "" local`,
			`chat "default" "r1" "x;y;z"`,
		},
	},
	{"room-js-join-unknown-ns", golden.Client}: {
		reason: "who waits gets an answer (5.11)",
		frames: map[string][]string{
			"c1": {
				`M`,
				`500;default;r1;_OnRoomJoin;1;0;bad namespace`,
				`501;default;r1;_OnRoomLeave;1;0;bad namespace`,
				`502;;;;;;`,
				`503;default;;someevent;1;0;bad namespace`,
			},
		},
	},
	{"ev-ask-unknown-namespace", golden.Server}: {
		reason: "bug B2: who waits gets an answer",
		frames: map[string][]string{
			"c1": {
				`Aalice`,
				`$1;default;;echo;1;0;bad namespace`,
				`$2;nope;;echo;1;0;bad namespace`,
			},
		},
	},
	{"ev-ask-room-not-joined", golden.Server}: {
		reason: "bug B3: no handler runs, and who waits gets an answer",
		frames: map[string][]string{
			"c1": {
				`Aalice`,
				`$1;;;;;;`,
				`$2;default;r1;echo;1;0;bad room`,
			},
		},
		callbacks: []string{
			`_OnNamespaceConnect "default" "" ""`,
			`_OnNamespaceConnected "default" "" ""`,
		},
	},
	{"ev-emit-error", golden.Server}: {
		reason: "nobody waits for the error of an emit; sent back it can bounce for ever (6.7)",
		frames: map[string][]string{
			"c1": {
				`Aalice`,
				`$6311000000000970562597;;;;;;`,
			},
		},
	},
	{"ev-emit-error", golden.Client}: {
		reason: "an error that answers nothing is ignored (6.10)",
		callbacks: []string{
			`_OnNamespaceConnect "default" "" "" local`,
			`_OnNamespaceConnected "default" "" "" local`,
		},
	},
	{"ev-js-handler-error", golden.Client}: {
		reason: "nobody waits for the error of an emit",
		frames: map[string][]string{
			"c1": {
				`M`,
				`$1;default;;_OnNamespaceConnect;0;0;`,
				`;default;;push;0;0;x`,
			},
		},
	},
	{"ev-js-unknown-event", golden.Client}: {
		reason: "the first of the two clients had no handler for it",
		callbacks: []string{
			`_OnNamespaceConnect "default" "" "" local`,
			`_OnNamespaceConnected "default" "" "" local`,
			`pushed "default" "" "x"`,
			`_OnNamespaceConnect "default" "" "" local`,
			`_OnNamespaceConnected "default" "" "" local`,
			`pushed "default" "" "y"`,
		},
	},
	{"ev-token-second-bang", golden.Server}: {
		reason: "a token is echoed as it came (4.7)",
		frames: map[string][]string{
			"c1": {
				`Aalice`,
				`$1;;;;;;`,
				`$!123;default;;echo;0;0;x`,
			},
		},
	},
	{"ev-error-flag-in", golden.Server}: {
		reason: "an error that answers nothing is ignored (6.10)",
		callbacks: []string{
			`_OnNamespaceConnect "default" "" ""`,
			`_OnNamespaceConnected "default" "" ""`,
		},
	},
	{"ev-ask-inside-handler", golden.Server}: {
		reason: "bug B6: answers are told by their token",
		frames: map[string][]string{
			"c1": {
				`Aalice`,
				`$1;;;;;;`,
				`1;default;;q;0;0;question`,
				`$2;default;;ask-inside;0;0;got:the answer`,
			},
		},
		callbacks: []string{
			`_OnNamespaceConnect "default" "" ""`,
			`_OnNamespaceConnected "default" "" ""`,
			`ask-inside "default" "" "question"`,
			`silent "default" "" "unrelated"`,
		},
	},
	{"ev-reply-pingpong-go", golden.Server}: {
		reason: "as often as the recording has the ball come in",
		callbacks: []string{
			`_OnNamespaceConnect "default" "" ""`,
			`_OnNamespaceConnected "default" "" ""`,
			`echo "default" "" "ball"`,
			`echo "default" "" "ball"`,
			`echo "default" "" "ball"`,
		},
	},
	{"ev-binary-error-js", golden.Server}: {
		reason: "errors are text frames: neffos.js cannot read them otherwise (3.9)",
		frames: map[string][]string{
			"c1": {
				`Aalice`,
				`$6317000000000178180578;;;;;;`,
				`$6317000000000178464860;default;;fail;1;0;boom;1`,
			},
		},
	},
	{"ev-system-as-event", golden.Server}: {
		reason: "a peer cannot fire a callback; _OnRoomLeft is a leave",
		frames: map[string][]string{
			"c1": {
				`Aalice`,
				`$1;;;;;;`,
				`$2;default;r1;_OnNamespaceConnected;1;0;unhandled event`,
				`$2;default;r1;_OnRoomJoined;1;0;unhandled event`,
				`$2;;;;;;`,
				`$2;default;r1;_OnAnyEvent;1;0;unhandled event`,
				`$2;default;r1;_OnNativeMessage;1;0;unhandled event`,
			},
		},
		callbacks: []string{
			`_OnNamespaceConnect "default" "" ""`,
			`_OnNamespaceConnected "default" "" ""`,
		},
	},
	{"native-mixed", golden.Server}: {
		reason: "who waits gets an answer: the last payload is a message with the token 1",
		frames: map[string][]string{
			"c1": {
				`Aalice`,
				`$1;;;;;;`,
				`native:native text`,
				`native:a;b;c`,
				`1;2;3;4;1;0;bad namespace`,
			},
		},
	},
	{"native-js-receive", golden.Client}: {
		reason: "neffos.js never delivers a native message (8.5)",
		callbacks: []string{
			`_OnNamespaceConnect "" "" "" local`,
			`_OnNamespaceConnected "" "" "" local`,
			`_OnNativeMessage "" "" "native:hello native"`,
		},
	},
	{"go-odd-frames", golden.Client}: {
		reason: "who waits gets an answer (5.11)",
		frames: map[string][]string{
			"c1": {
				`M`,
				`500;default;;someevent;1;0;bad namespace`,
				`501;default;r1;_OnRoomJoin;1;0;bad namespace`,
				`502;default;r1;_OnRoomLeave;1;0;bad namespace`,
				`503;;;;;;`,
				`504;unknown;;_OnNamespaceConnect;1;0;bad namespace`,
				`$1;default;;_OnNamespaceConnect;0;0;`,
				`506;default;;fail;1;0;client boom`,
				`507;;;;;;`,
			},
		},
	},
}
