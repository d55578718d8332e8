import neffos from "neffos.js";

const conn = await neffos.dial("ws://127.0.0.1:40493/ws", {
  default: {
    chat: (nsConn, message) => console.log(`${message.Room}: ${message.Body}`),
  },
});
const namespace = await conn.connect("default");
const room = await namespace.joinRoom("lobby");
room.emit("chat", "Hello from JavaScript");
