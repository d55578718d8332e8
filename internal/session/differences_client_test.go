package session_test

var clientDifferences = map[string]difference{
	"ack-js-frame-before-A": {
		reason: "a message before the acknowledgement is kept",
		frames: map[string][]string{
			"c1": {
				`M`,
				`123;;;;;;`,
			},
		},
	},
	"ack-go-frame-before-A": {
		reason: "a message before the acknowledgement is kept, not lost",
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
	"ns-connect-parallel-js": {
		reason: "two connects in flight connect once (5.5)",
		callbacks: []string{
			`_OnNamespaceConnect "default" "" "" local`,
			`_OnNamespaceConnect "default" "" "" local`,
			`_OnNamespaceConnected "default" "" "" local`,
		},
	},
	"room-leaveall-js": {
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
	"room-leaveall-js-answered": {
		reason: "bug B16: every leave is reported for its own room",
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
	"room-relay-js": {
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
	"room-js-join-unknown-ns": {
		reason: "every ask gets an answer (5.11)",
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
	"ev-emit-error": {
		reason: "an error that answers nothing is ignored (6.10)",
		callbacks: []string{
			`_OnNamespaceConnect "default" "" "" local`,
			`_OnNamespaceConnected "default" "" "" local`,
		},
	},
	"ev-js-handler-error": {
		reason: "an emit has no caller that waits for its error",
		frames: map[string][]string{
			"c1": {
				`M`,
				`$1;default;;_OnNamespaceConnect;0;0;`,
				`;default;;push;0;0;x`,
			},
		},
	},
	"ev-js-unknown-event": {
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
	"native-js-receive": {
		reason: "neffos.js never delivers a native message (8.5)",
		callbacks: []string{
			`_OnNamespaceConnect "" "" "" local`,
			`_OnNamespaceConnected "" "" "" local`,
			`_OnNativeMessage "" "" "native:hello native"`,
		},
	},
	"go-odd-frames": {
		reason: "every ask gets an answer (5.11)",
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
