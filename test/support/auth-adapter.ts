/** An `auth` adapter of Parse Server that takes everybody at their word. */
export const validateAppId = async () => {};
export const validateAuthData = async () => {};
