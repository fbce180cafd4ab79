export const createTabs = (platform, name, hear) => {
  let channel;
  return {
    open: () => {
      if (channel || !platform.BroadcastChannel)
        return;
      channel = new platform.BroadcastChannel(name);
      channel.addEventListener("message", ({ data }) => hear(data));
    },
    close: () => {
      channel?.close();
      channel = void 0;
    },
    s: (message) => channel?.postMessage(message)
  };
};
