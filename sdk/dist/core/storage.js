export const createStore = (platform, key) => {
  let memory;
  let isDurable = true;
  return {
    p: () => {
      try {
        return JSON.parse((isDurable ? platform.localStorage?.[key] : memory) ?? "null");
      } catch {
        return void 0;
      }
    },
    x: (record) => {
      memory = record && JSON.stringify(record);
      try {
        const { localStorage } = platform;
        if (memory && localStorage)
          localStorage[key] = memory;
        else
          delete localStorage?.[key];
        isDurable = !!localStorage;
      } catch {
        isDurable = false;
      }
    },
    _: () => isDurable
  };
};
