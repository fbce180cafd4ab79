/** The SDK's own texts, by code. */
export const messages = {
    en: {
        signedout: 'You are signed out. Please sign in again.',
        network: 'The server cannot be reached. Please check the connection and try again.',
        unavailable: 'The server is not available for the moment. Please try again.',
        not_repeatable: 'The data could not be sent again by itself. Please try again.',
        failed: 'That did not work.',
    },
    'zh-CN': {
        signedout: '登录已失效，请重新登录。',
        network: '无法连接服务器，请检查网络后重试。',
        unavailable: '服务器暂时不可用，请稍后重试。',
        not_repeatable: '数据无法自动重新发送，请重试。',
        failed: '操作失败。',
    },
};
/** The catalogue of this language, or of another with the same beginning, or nothing. */
export const inLanguage = (all, locale) => {
    const same = (a, b) => a.toLowerCase() === b.toLowerCase();
    const names = Object.keys(all ?? {});
    const first = (x) => x.split('-')[0];
    const name = names.find((n) => same(n, locale)) ?? names.find((n) => same(first(n), first(locale)));
    return name ? all[name] : undefined;
};
