package session_test

var serverDifferences = map[string]difference{
	"ack-reject-empty-js": {
		reason: "with a bare H the dial of neffos.js never ends (protocol.md 2.7)",
		frames: map[string][]string{
			"c1": {
				`Hrefused`,
			},
		},
	},
	"ack-queue": {
		reason: "the acknowledgement is the first frame (2.6)",
		frames: map[string][]string{
			"c1": {
				`Aalice`,
				`$1;;;;;;`,
				`$2;default;;echo;0;0;early`,
			},
		},
	},
	"ack-spoof-A": {
		reason: "bug B1: a client cannot acknowledge itself",
		frames: map[string][]string{
			"c1": {},
		},
		callbacks: []string{},
	},
	"ack-spoof-A-bypasses-OnConnect": {
		reason: "bug B1: a client cannot acknowledge itself",
		frames: map[string][]string{
			"c1": {},
		},
		callbacks: []string{},
	},
	"ack-spoof-A-after-refusal": {
		reason: "bug B1: a client cannot acknowledge itself",
		frames: map[string][]string{
			"c1": {},
		},
		callbacks: []string{},
	},
	"ns-connect-binary": {
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
	"ns-server-connect-empty-error": {
		reason: "bug B15: an error without a text is an error",
		callbacks: []string{
			`_OnNamespaceConnect "default" "" "" local`,
		},
	},
	"ns-server-connect-deadlock": {
		reason: "bug B5: an early event does not keep the answer from being read",
		callbacks: []string{
			`_OnNamespaceConnect "default" "" "" local`,
			`_OnNamespaceConnected "default" "" "" local`,
		},
	},
	"cs-empty-reply": {
		reason: "a token and one semicolon is a positive answer (5.12)",
		callbacks: []string{
			`_OnNamespaceConnect "default" "" "" local`,
			`_OnNamespaceConnected "default" "" "" local`,
		},
	},
	"room-join-no-namespace": {
		reason: "bug B2: every ask and request gets an answer",
		frames: map[string][]string{
			"c1": {
				`Aalice`,
				`$1;default;r;_OnRoomJoin;1;0;bad namespace`,
				`$2;default;r;_OnRoomLeave;1;0;bad namespace`,
			},
		},
	},
	"room-relay-not-member": {
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
	"room-relay-leaks-wait": {
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
	"room-relay-error-frame": {
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
	"room-leaveall-js": {
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
	"ev-ask-unknown-namespace": {
		reason: "bug B2: every ask and request gets an answer",
		frames: map[string][]string{
			"c1": {
				`Aalice`,
				`$1;default;;echo;1;0;bad namespace`,
				`$2;nope;;echo;1;0;bad namespace`,
			},
		},
	},
	"ev-ask-room-not-joined": {
		reason: "bug B3: no handler runs, and every ask gets an answer",
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
	"ev-emit-error": {
		reason: "an emit has no caller that waits for its error; sent back it can bounce for ever (6.7)",
		frames: map[string][]string{
			"c1": {
				`Aalice`,
				`$6311000000000970562597;;;;;;`,
			},
		},
	},
	"ev-token-second-bang": {
		reason: "a token is echoed as it came (4.7)",
		frames: map[string][]string{
			"c1": {
				`Aalice`,
				`$1;;;;;;`,
				`$!123;default;;echo;0;0;x`,
			},
		},
	},
	"ev-error-flag-in": {
		reason: "an error that answers nothing is ignored (6.10)",
		callbacks: []string{
			`_OnNamespaceConnect "default" "" ""`,
			`_OnNamespaceConnected "default" "" ""`,
		},
	},
	"ev-ask-inside-handler": {
		reason: "bug B6: answers are recognized by their token",
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
	"ev-reply-pingpong-go": {
		reason: "as often as the recording has the ball come in",
		callbacks: []string{
			`_OnNamespaceConnect "default" "" ""`,
			`_OnNamespaceConnected "default" "" ""`,
			`echo "default" "" "ball"`,
			`echo "default" "" "ball"`,
			`echo "default" "" "ball"`,
		},
	},
	"ev-binary-error-js": {
		reason: "errors are text frames: neffos.js cannot read them otherwise (3.9)",
		frames: map[string][]string{
			"c1": {
				`Aalice`,
				`$6317000000000178180578;;;;;;`,
				`$6317000000000178464860;default;;fail;1;0;boom;1`,
			},
		},
	},
	"ev-system-as-event": {
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
	"native-mixed": {
		reason: "every ask gets an answer: the last payload is a message with the token 1",
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
}
