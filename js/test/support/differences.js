// Where the client differs from the recordings on purpose. The numbers in the
// reasons are sections and bugs of the description of the protocol.

/**
 * By conversation: all frames of each connection, all callbacks. Omitted ones
 * equal the recording.
 */
export const differences = {
  "ack-js-frame-before-A": {
    reason: "frames before the acknowledgement are queued",
    frames: {
      c1: [
        'M',
        '123;;;;;;',
      ],
    },
  },
  "ack-go-frame-before-A": {
    reason: "frames before the acknowledgement are queued, not lost",
    frames: {
      c1: [
        'M',
        '123;;;;;;',
      ],
    },
    callbacks: [
      '_OnNamespaceConnect "default" "" ""',
      '_OnNamespaceConnected "default" "" ""',
    ],
  },
  "ns-connect-parallel-js": {
    reason: "two connects in flight connect once (5.5)",
    callbacks: [
      '_OnNamespaceConnect "default" "" "" local',
      '_OnNamespaceConnect "default" "" "" local',
      '_OnNamespaceConnected "default" "" "" local',
    ],
  },
  "room-leaveall-js": {
    reason: "bug B16: a leave is sent with the event of a leave",
    frames: {
      c1: [
        'M',
        '$1;default;;_OnNamespaceConnect;0;0;',
        '$2;default;r1;_OnRoomJoin;0;0;',
        '$3;default;r2;_OnRoomJoin;0;0;',
        '$4;default;r1;_OnRoomLeave;0;0;',
        '$5;default;r2;_OnRoomLeave;0;0;',
      ],
    },
  },
  "room-leaveall-js-answered": {
    reason: "bug B16: every leave is reported for its own room",
    frames: {
      c1: [
        'M',
        '$1;default;;_OnNamespaceConnect;0;0;',
        '$2;default;r1;_OnRoomJoin;0;0;',
        '$3;default;r2;_OnRoomJoin;0;0;',
        '$4;default;r3;_OnRoomJoin;0;0;',
        '$5;default;r1;_OnRoomLeave;0;0;',
        '$6;default;r2;_OnRoomLeave;0;0;',
        '$7;default;r3;_OnRoomLeave;0;0;',
      ],
    },
    callbacks: [
      '_OnNamespaceConnect "default" "" "" local',
      '_OnNamespaceConnected "default" "" "" local',
      '_OnRoomJoin "default" "r1" "" local',
      '_OnRoomJoined "default" "r1" "" local',
      '_OnRoomJoin "default" "r2" "" local',
      '_OnRoomJoined "default" "r2" "" local',
      '_OnRoomJoin "default" "r3" "" local',
      '_OnRoomJoined "default" "r3" "" local',
      '_OnRoomLeave "default" "r1" ""',
      '_OnRoomLeft "default" "r1" ""',
      '_OnRoomLeave "default" "r2" ""',
      '_OnRoomLeft "default" "r2" ""',
      '_OnRoomLeave "default" "r3" ""',
      '_OnRoomLeft "default" "r3" ""',
    ],
  },
  "room-relay-js": {
    reason: "the recording has the callbacks of one of the two clients",
    callbacks: [
      '_OnNamespaceConnect "default" "" "" local',
      '_OnNamespaceConnected "default" "" "" local',
      '_OnRoomJoin "default" "r1" "" local',
      '_OnRoomJoined "default" "r1" "" local',
      '_OnNamespaceConnect "default" "" "" local',
      '_OnNamespaceConnected "default" "" "" local',
      '_OnRoomJoin "default" "r1" "" local',
      '_OnRoomJoined "default" "r1" "" local',
      'chat "default" "r1" "x;y;z"',
    ],
  },
  "room-js-join-unknown-ns": {
    reason: "every request gets an answer (5.11)",
    frames: {
      c1: [
        'M',
        '500;default;r1;_OnRoomJoin;1;0;bad namespace',
        '501;default;r1;_OnRoomLeave;1;0;bad namespace',
        '502;;;;;;',
        '503;default;;someevent;1;0;bad namespace',
      ],
    },
  },
  "ws-server-close-js": {
    reason: "a close by the server is not local",
    callbacks: [
      '_OnNamespaceConnect "default" "" "" local',
      '_OnNamespaceConnected "default" "" "" local',
      '_OnRoomJoin "default" "r1" "" local',
      '_OnRoomJoined "default" "r1" "" local',
      '_OnRoomLeave "default" "r1" "" forced',
      '_OnRoomLeft "default" "r1" "" forced',
      '_OnNamespaceDisconnect "default" "" "" forced',
    ],
  },
  "ev-emit-error": {
    reason: "an error that answers nothing is ignored (6.10)",
    callbacks: [
      '_OnNamespaceConnect "default" "" "" local',
      '_OnNamespaceConnected "default" "" "" local',
    ],
  },
  "ev-js-handler-error": {
    reason: "the error of an emit is not sent",
    frames: {
      c1: [
        'M',
        '$1;default;;_OnNamespaceConnect;0;0;',
        ';default;;push;0;0;x',
      ],
    },
  },
  "ev-js-unknown-event": {
    reason: "the first of the two clients had no handler for it",
    callbacks: [
      '_OnNamespaceConnect "default" "" "" local',
      '_OnNamespaceConnected "default" "" "" local',
      'pushed "default" "" "x"',
      '_OnNamespaceConnect "default" "" "" local',
      '_OnNamespaceConnected "default" "" "" local',
      'pushed "default" "" "y"',
    ],
  },
  "native-js-receive": {
    reason: "neffos.js never delivers a native message (8.5)",
    callbacks: [
      '_OnNamespaceConnect "" "" "" local',
      '_OnNamespaceConnected "" "" "" local',
      '_OnNativeMessage "" "" "native:hello native"',
    ],
  },
  "go-odd-frames": {
    reason: "every request gets an answer (5.11)",
    frames: {
      c1: [
        'M',
        '500;default;;someevent;1;0;bad namespace',
        '501;default;r1;_OnRoomJoin;1;0;bad namespace',
        '502;default;r1;_OnRoomLeave;1;0;bad namespace',
        '503;;;;;;',
        '504;unknown;;_OnNamespaceConnect;1;0;bad namespace',
        '$1;default;;_OnNamespaceConnect;0;0;',
        '$999;default;;chat;0;0;',
      '505;default;;no-such-event;1;0;unhandled event',
      '506;default;;fail;1;0;client boom',
        '507;;;;;;',
      ],
    },
  },
  "ev-server-ask-js": {
    reason: "every ask gets an answer, even without a handler (6.6)",
    frames: {
      c1: [
        'M',
        '$1;default;;_OnNamespaceConnect;0;0;',
        '1795399470702310667;default;;q;0;0;answer:b;1',
        '1795399470703596799;default;;f;1;0;client boom',
        '1795399470704685514;default;;s;0;0;',
        '1795399471406988150;default;;missing;1;0;unhandled event',
      ],
    },
  },
  "ev-server-ask-go": {
    reason: "every ask gets an answer, even without a handler (6.6)",
    frames: {
      c1: [
        'M',
        '$1;default;;_OnNamespaceConnect;0;0;',
        '1795399472148613794;default;;echo;0;0;b;1',
        '1795399472150108571;default;;fail;1;0;client boom',
        '1795399472151146470;default;;silent;0;0;',
        '1795399472853766147;default;;missing;1;0;unhandled event',
      ],
    },
  },
};

/** Conversations that do not apply to a client of this protocol. */
export const untestable = {
  "http-get-gobwas": "HTTP only",
  "http-get-gorilla": "HTTP only",
  "http-js-reconnect": "a reconnect with its own rules; see reconnect.test.js",
};
