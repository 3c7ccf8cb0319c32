/** `back4app.json`: the settings that are no secret. The build validates it and compiles it in, defaults included. */
export interface Policy {
  virgil: {
    /** Lifetime of a Virgil JWT in seconds, 60 to 86400. */
    tokenTtlSeconds: number;
    /** Let nobody change a user's `objectId`, which is the identity. */
    guardUserIds: boolean;
    /** Take a deleted user's cards and key backups off Virgil Cloud. */
    eraseDeletedUsers: boolean;
  };
  /** False: there are no Nexmo functions. */
  nexmo: NexmoPolicy | false;
  /** What each guarded class demands of a save, by class name. */
  classes: Record<string, ClassPolicy>;
  /** What every upload of a file must be. Absent: uploads are not looked at. */
  files?: FilePolicy;
}

/** What is in the bundle only if the policy uses it. */
export type Feature = 'recipients' | 'erasure' | 'files' | 'nexmo';

export interface NexmoPolicy {
  /** Lifetime of a Nexmo JWT in seconds, 60 to 86400. */
  tokenTtlSeconds: number;
  /** The paths of Vonage's API that a user's token opens, each with its restrictions: the claim `acl.paths`. */
  acl: Record<string, object>;
}

export interface FilePolicy {
  /** How names of files begin that need not be encrypted. */
  plain: string[];
  /** Limit of an encrypted file, in bytes. */
  maxBytes: number;
  /** Accept what the deprecated `encryptFile()` makes. */
  allowLegacyEncrypt: boolean;
}

/** A type of Parse's that a plain field may have. */
export type PlainType =
  | 'String'
  | 'Number'
  | 'Boolean'
  | 'Date'
  | `Pointer<${string}>`
  /** Of identifiers, such as an `objectId`. */
  | 'Array<String>'
  | `Array<Pointer<${string}>>`;

export interface ClassPolicy {
  /** Refuse what is not as it must be, or only write it down. */
  mode: 'enforce' | 'report';
  /** Fields that must hold an E3Kit envelope. */
  encrypted: string[];
  /** Fields that may hold a short plain value. A field in neither list is refused. */
  plain: string[];
  /** Fields that hold an encrypted `Parse.File`, or nothing. */
  files?: string[];
  /** What plain fields hold, by Parse's own names of types; one that is not here may hold any plain value. */
  types: Record<string, PlainType>;
  /** The plain field that holds the identity of the user who wrote the row. */
  sender?: string;
  /** Limit of an encrypted field, in UTF-8 bytes of its base64 string. */
  maxPayloadBytes: number;
  /** Limit of a string in a plain field, in UTF-8 bytes. */
  maxPlainBytes: number;
  /** Accept what the deprecated `encrypt()` makes, whose signature of the plaintext anyone can read. */
  allowLegacyEncrypt: boolean;
  /** Whom ciphertext must be encrypted for: who may read the row by its ACL, or whom these plain fields name, lists too. */
  recipients?: 'acl' | string[];
  /** What becomes of a save whose recipients cannot be checked, since Virgil Cloud does not answer. */
  recipientsOutage?: 'accept' | 'refuse';
  /** The plain field that holds the ID of the group that a group message belongs to, as a string or as a Pointer's ID. */
  group?: string;
}
