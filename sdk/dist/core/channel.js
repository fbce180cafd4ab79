export const createTabs = (platform, name, hear) => {
    let channel;
    return {
        open: () => {
            // Without it, other tabs learn of a sign-out by storage, and of the rest by their own renewal.
            if (channel || !platform.BroadcastChannel)
                return;
            channel = new platform.BroadcastChannel(name);
            channel.addEventListener('message', ({ data }) => hear(data));
        },
        close: () => {
            channel?.close();
            channel = undefined;
        },
        tell: (message) => channel?.postMessage(message),
    };
};
