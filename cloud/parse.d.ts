// Parse Server gives Cloud Code the Parse SDK as a global.
import type ParseSdk from 'parse/node';

declare global {
  const Parse: Omit<typeof ParseSdk, 'Cloud'> & {
    Cloud: { -readonly [Name in keyof typeof ParseSdk.Cloud]: (typeof ParseSdk.Cloud)[Name] };
    // Past triggers, permissions and checks.
    Server: {
      database: { find(className: string, where: object, options: object): Promise<object[]> };
      loggerController: { error(message: string): void };
    };
  };
  namespace Parse {
    type ACL = InstanceType<typeof ParseSdk.ACL>;
    type File = InstanceType<typeof ParseSdk.File>;
    type Error = InstanceType<typeof ParseSdk.Error>;
    type Object = InstanceType<typeof ParseSdk.Object>;
    type Query = InstanceType<typeof ParseSdk.Query>;
    type User = InstanceType<typeof ParseSdk.User>;
  }
}
