-- Shape C'': C with head's stamp and nothing else: the stamp says nothing about the tables.
ALTER DATABASE CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci;
SET NAMES utf8mb4;
SET time_zone = '+00:00';
SET foreign_key_checks = 0;
CREATE TABLE `action_reports` (
  `created_at` datetime DEFAULT NULL,
  `updated_at` datetime DEFAULT NULL,
  `deleted_at` datetime DEFAULT NULL,
  `deleted` tinyint(1) DEFAULT NULL,
  `id` varchar(36) NOT NULL,
  `project_id` varchar(36) DEFAULT NULL,
  `user_id` varchar(36) NOT NULL,
  `result` varchar(255) DEFAULT NULL,
  `time_elapsed` varchar(255) DEFAULT NULL,
  `report_date` timestamp NULL DEFAULT NULL,
  `log` blob DEFAULT NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `CONSTRAINT_1` CHECK (`deleted` in (0,1))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3 COLLATE=utf8mb3_general_ci;
INSERT INTO `action_reports` VALUES ('2019-03-01 02:51:00', NULL, NULL, 0, '0556f2c01654438e8ede56571035e389', '5f3b0c8e1d2a4c6f9e7b8a1d2c3e4f50', '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', NULL, NULL, NULL, NULL);
INSERT INTO `action_reports` VALUES ('2019-03-01 02:58:00', NULL, NULL, 0, '0670233f4af7496b860cffe321eac0b0', '5f3b0c8e1d2a4c6f9e7b8a1d2c3e4f50', '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', NULL, NULL, NULL, NULL);
INSERT INTO `action_reports` VALUES ('2019-03-01 02:41:00', NULL, NULL, 0, '23669148e2d54ef1b5efe45cc154717b', '5f3b0c8e1d2a4c6f9e7b8a1d2c3e4f50', '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', NULL, NULL, NULL, NULL);
INSERT INTO `action_reports` VALUES ('2019-03-01 02:42:00', NULL, NULL, 0, '3d19cbaf06564c2eb4b6d1e785660f73', 'a0c4e8d2b6f14a3c8d7e9f0b1a2c3d4e', '3f2504e0-4f89-41d3-9a0c-0305e82c3301', NULL, NULL, NULL, NULL);
INSERT INTO `action_reports` VALUES ('2019-03-01 02:43:00', '2019-03-01 02:44:00', '2019-03-01 02:44:00', 1, '58804f18c68743dba71eef34e4b4134e', '5f3b0c8e1d2a4c6f9e7b8a1d2c3e4f50', '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', NULL, NULL, NULL, NULL);
INSERT INTO `action_reports` VALUES ('2019-03-01 02:40:00', NULL, NULL, 0, '6ff54c45ab794a10b3d095fabcd6b131', '5f3b0c8e1d2a4c6f9e7b8a1d2c3e4f50', '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', 'success', '12.5', '2019-03-02 03:20:00', x'000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff1f8bfffe3b0a275c');
INSERT INTO `action_reports` VALUES ('2019-03-01 02:51:00', NULL, NULL, 0, '88a33cbc79de483a9e85f80903bade97', '5f3b0c8e1d2a4c6f9e7b8a1d2c3e4f50', '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', NULL, NULL, NULL, NULL);
INSERT INTO `action_reports` VALUES ('2019-03-01 03:01:00', NULL, NULL, 0, '9d0ef30c79fa410ca5a7308943ca75af', 'a0c4e8d2b6f14a3c8d7e9f0b1a2c3d4e', '3f2504e0-4f89-41d3-9a0c-0305e82c3301', NULL, NULL, NULL, NULL);
INSERT INTO `action_reports` VALUES (NULL, NULL, NULL, 0, 'hand-report-created-null', 'd41d8cd98f00b204e9800998ecf8427e', '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', NULL, NULL, NULL, NULL);
INSERT INTO `action_reports` VALUES ('2019-03-02 00:00:00', NULL, NULL, NULL, 'hand-report-deleted-null', 'd41d8cd98f00b204e9800998ecf8427e', '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', 'fail', '1.0', NULL, NULL);
CREATE TABLE `actions` (
  `created_at` datetime DEFAULT NULL,
  `updated_at` datetime DEFAULT NULL,
  `deleted_at` datetime DEFAULT NULL,
  `deleted` tinyint(1) DEFAULT NULL,
  `id` varchar(36) NOT NULL,
  `action` varchar(255) NOT NULL,
  `project_id` varchar(36) DEFAULT NULL,
  `user_id` varchar(36) NOT NULL,
  `actionmode` varchar(255) DEFAULT NULL,
  `path_to_backup` varchar(255) DEFAULT NULL,
  `backup_name` varchar(255) DEFAULT NULL,
  `container` varchar(255) DEFAULT NULL,
  `timeout` int(11) DEFAULT NULL,
  `priority` int(11) DEFAULT NULL,
  `max_retries_interval` int(11) DEFAULT NULL,
  `max_retries` int(11) DEFAULT NULL,
  `mandatory` tinyint(1) DEFAULT NULL,
  `log_file` varchar(255) DEFAULT NULL,
  `backup_metadata` text DEFAULT NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `CONSTRAINT_1` CHECK (`deleted` in (0,1)),
  CONSTRAINT `CONSTRAINT_2` CHECK (`mandatory` in (0,1))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3 COLLATE=utf8mb3_general_ci;
INSERT INTO `actions` VALUES ('2019-03-01 02:51:00', NULL, NULL, 0, '0556f2c01654438e8ede56571035e389', 'backup', '5f3b0c8e1d2a4c6f9e7b8a1d2c3e4f50', '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', 'mysql', '/srv/ü', 'second: Nächtliche Sicherung ☕', 'c', NULL, NULL, 5, 2, 0, NULL, '{"action": "backup", "mode": "mysql", "backup_name": "second: N\\u00e4chtliche Sicherung \\u2615", "path_to_backup": "/srv/\\u00fc", "container": "c"}');
INSERT INTO `actions` VALUES ('2019-03-01 02:58:00', NULL, NULL, 0, '0670233f4af7496b860cffe321eac0b0', 'info', '5f3b0c8e1d2a4c6f9e7b8a1d2c3e4f50', '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', NULL, NULL, NULL, NULL, NULL, NULL, 6, 5, 0, NULL, '{"action": "info"}');
INSERT INTO `actions` VALUES ('2019-03-01 02:41:00', NULL, NULL, 0, '23669148e2d54ef1b5efe45cc154717b', 'exec', '5f3b0c8e1d2a4c6f9e7b8a1d2c3e4f50', '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', NULL, NULL, NULL, NULL, NULL, NULL, 6, 5, 0, NULL, '{"action": "exec"}');
INSERT INTO `actions` VALUES ('2019-03-01 02:42:00', NULL, NULL, 0, '3d19cbaf06564c2eb4b6d1e785660f73', 'restore', 'a0c4e8d2b6f14a3c8d7e9f0b1a2c3d4e', '3f2504e0-4f89-41d3-9a0c-0305e82c3301', 'fs', NULL, NULL, NULL, NULL, NULL, 6, 5, 0, NULL, '{"action": "restore", "mode": "fs", "restore_abs_path": "/tmp/\\u00fc"}');
INSERT INTO `actions` VALUES ('2019-03-01 02:43:00', '2019-03-01 02:44:00', '2019-03-01 02:44:00', 1, '58804f18c68743dba71eef34e4b4134e', 'info', '5f3b0c8e1d2a4c6f9e7b8a1d2c3e4f50', '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', NULL, NULL, 'deleted', NULL, NULL, NULL, 6, 5, 0, NULL, '{"action": "info", "backup_name": "deleted"}');
INSERT INTO `actions` VALUES ('2019-03-01 02:40:00', NULL, NULL, 0, '6ff54c45ab794a10b3d095fabcd6b131', 'backup', '5f3b0c8e1d2a4c6f9e7b8a1d2c3e4f50', '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', 'fs', '/var/lib/mysql', 'nightly', 'freezer_backups', 3600, 2, 60, 3, 1, '/var/log/freezer.log', '{"action": "backup", "mode": "fs", "path_to_backup": "/var/lib/mysql", "backup_name": "nightly", "container": "freezer_backups", "timeout": 3600, "priority": 2, "mandatory": true, "log_file": "/var/log/freezer.log", "storage": "swift", "engine_name": "tar", "max_level": 14, "no_incremental": false, "remove_older_than": 30.5, "description": "Sicherung \\u2615 \\ud83d\\udcbe", "nested": {"a": [1, null, {"b": "\\u00fc"}]}, "result": "success", "time_elapsed": "12.5"}');
INSERT INTO `actions` VALUES ('2019-03-01 02:51:00', NULL, NULL, 0, '88a33cbc79de483a9e85f80903bade97', 'backup', '5f3b0c8e1d2a4c6f9e7b8a1d2c3e4f50', '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', 'mysql', '/srv/ü', 'first', 'c', NULL, NULL, 5, 2, 0, NULL, '{"action": "backup", "mode": "mysql", "backup_name": "first", "path_to_backup": "/srv/\\u00fc", "container": "c"}');
INSERT INTO `actions` VALUES ('2019-03-01 03:01:00', NULL, NULL, 0, '9d0ef30c79fa410ca5a7308943ca75af', 'backup', 'a0c4e8d2b6f14a3c8d7e9f0b1a2c3d4e', '3f2504e0-4f89-41d3-9a0c-0305e82c3301', 'fs', NULL, NULL, NULL, NULL, NULL, 6, 5, 0, NULL, '{"action": "backup", "mode": "fs"}');
INSERT INTO `actions` VALUES (NULL, NULL, NULL, 0, 'hand-action-created-null', 'backup', 'd41d8cd98f00b204e9800998ecf8427e', '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', 'mysql', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{"note": "raw: Nächtliche Sicherung ☕"}');
INSERT INTO `actions` VALUES ('2019-03-02 00:00:00', NULL, NULL, NULL, 'hand-action-deleted-null', 'backup', 'd41d8cd98f00b204e9800998ecf8427e', '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE `alembic_version` (
  `version_num` varchar(32) NOT NULL,
  PRIMARY KEY (`version_num`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3 COLLATE=utf8mb3_general_ci;
INSERT INTO `alembic_version` VALUES ('7a3b9c1d2e4f');
CREATE TABLE `backups` (
  `created_at` datetime DEFAULT NULL,
  `updated_at` datetime DEFAULT NULL,
  `deleted_at` datetime DEFAULT NULL,
  `deleted` tinyint(1) DEFAULT NULL,
  `id` varchar(36) NOT NULL,
  `job_id` varchar(36) DEFAULT NULL,
  `project_id` varchar(36) DEFAULT NULL,
  `user_id` varchar(64) NOT NULL,
  `user_name` varchar(64) DEFAULT NULL,
  `backup_metadata` text DEFAULT NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `CONSTRAINT_1` CHECK (`deleted` in (0,1))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3 COLLATE=utf8mb3_general_ci;
INSERT INTO `backups` VALUES ('2019-03-01 03:17:00', NULL, NULL, 0, '6957cadba7f943ea9467260429d0a2ba', '96426643512e4363880bc059bfa183ee', '5f3b0c8e1d2a4c6f9e7b8a1d2c3e4f50', '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', 'admin', '{"hostname": "web-1.example.org", "container": "freezer_backups", "backup_name": "nightly", "time_stamp": 1551407460, "curr_backup_level": 0, "job_id": "96426643512e4363880bc059bfa183ee", "description": "\\u00fcn\\u00efc\\u00f6d\\u00e9 \\u2615 \\ud83d\\udcbe", "os": {"a": {"b": [1, 2.5, null, true, "\\u00fc"]}}}');
INSERT INTO `backups` VALUES ('2019-03-01 03:18:00', NULL, NULL, 0, '8b213acac82644bd95867bd6de499b04', '96426643512e4363880bc059bfa183ee', '5f3b0c8e1d2a4c6f9e7b8a1d2c3e4f50', '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', 'admin', '{"hostname": "web-1.example.org", "container": "freezer_backups", "backup_name": "large", "time_stamp": 1551407460, "curr_backup_level": 0, "job_id": "96426643512e4363880bc059bfa183ee", "files": ["/srv/data/0000/file.bin", "/srv/data/0001/file.bin", "/srv/data/0002/file.bin", "/srv/data/0003/file.bin", "/srv/data/0004/file.bin", "/srv/data/0005/file.bin", "/srv/data/0006/file.bin", "/srv/data/0007/file.bin", "/srv/data/0008/file.bin", "/srv/data/0009/file.bin", "/srv/data/0010/file.bin", "/srv/data/0011/file.bin", "/srv/data/0012/file.bin", "/srv/data/0013/file.bin", "/srv/data/0014/file.bin", "/srv/data/0015/file.bin", "/srv/data/0016/file.bin", "/srv/data/0017/file.bin", "/srv/data/0018/file.bin", "/srv/data/0019/file.bin"]}');
INSERT INTO `backups` VALUES ('2019-03-01 03:19:00', NULL, NULL, 0, 'a1f7f9497ef9485fa4cfb56fbaaba14e', NULL, 'a0c4e8d2b6f14a3c8d7e9f0b1a2c3d4e', '9b74c9897bac770ffc029102a200c5de5f4b3c2d1e0f9a8b7c6d5e4f3a2b1c0d', 'Jürgen Müller', '{"hostname": "web-1.example.org", "container": "freezer_backups", "backup_name": "nightly", "time_stamp": 1551407460, "curr_backup_level": 0, "job_id": null}');
INSERT INTO `backups` VALUES ('2019-03-01 03:20:00', '2019-03-01 03:21:00', '2019-03-01 03:21:00', 1, 'ba14cd6381c84ad8bff0f9b28b6dbdbd', '96426643512e4363880bc059bfa183ee', 'd41d8cd98f00b204e9800998ecf8427e', '3f2504e0-4f89-41d3-9a0c-0305e82c3301', 'demo', '{"hostname": "web-1.example.org", "container": "freezer_backups", "backup_name": "nightly", "time_stamp": 1551407460, "curr_backup_level": 0, "job_id": "96426643512e4363880bc059bfa183ee"}');
INSERT INTO `backups` VALUES (NULL, NULL, NULL, 0, 'hand-backup-created-null', NULL, 'd41d8cd98f00b204e9800998ecf8427e', '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', NULL, '{}');
INSERT INTO `backups` VALUES ('2019-03-02 00:00:00', NULL, NULL, NULL, 'hand-backup-deleted-null', NULL, 'd41d8cd98f00b204e9800998ecf8427e', '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', NULL, '{"backup_name": "raw: Nächtliche Sicherung ☕"}');
CREATE TABLE `clients` (
  `created_at` datetime DEFAULT NULL,
  `updated_at` datetime DEFAULT NULL,
  `deleted_at` datetime DEFAULT NULL,
  `deleted` tinyint(1) DEFAULT NULL,
  `user_id` varchar(36) NOT NULL,
  `id` varchar(255) NOT NULL,
  `project_id` varchar(36) DEFAULT NULL,
  `client_id` varchar(255) NOT NULL,
  `hostname` varchar(255) NOT NULL,
  `description` varchar(255) DEFAULT NULL,
  `uuid` varchar(36) NOT NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `CONSTRAINT_1` CHECK (`deleted` in (0,1))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3 COLLATE=utf8mb3_general_ci;
INSERT INTO `clients` VALUES ('2019-03-01 02:34:00', NULL, NULL, 0, '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', '4aa4b9c4eb4641e6a4026ba0268ea888', 'd41d8cd98f00b204e9800998ecf8427e', 'd41d8cd98f00b204e9800998ecf8427e_db-1', 'db-1', NULL, '4aa4b9c4eb4641e6a4026ba0268ea888');
INSERT INTO `clients` VALUES ('2019-03-01 02:37:00', '2019-03-01 02:38:00', '2019-03-01 02:38:00', 1, '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', '7622e2e25f60493faa0ba5b563c61a2c', 'a0c4e8d2b6f14a3c8d7e9f0b1a2c3d4e', 'back-1', 'back-1', 'deleted, then registered again', '7622e2e25f60493faa0ba5b563c61a2c');
INSERT INTO `clients` VALUES ('2019-03-01 02:31:00', NULL, NULL, 0, '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', '84710ff93d054155abab5436394ea4aa', '5f3b0c8e1d2a4c6f9e7b8a1d2c3e4f50', 'web-1', 'web-1.example.org', 'web: Nächtliche Sicherung ☕', '84710ff93d054155abab5436394ea4aa');
INSERT INTO `clients` VALUES ('2019-03-01 02:39:00', NULL, NULL, 0, '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', '96603f6a6ac941e3bb26ba4fea4bff42', 'a0c4e8d2b6f14a3c8d7e9f0b1a2c3d4e', 'back-1', 'back-1', 'registered again', '96603f6a6ac941e3bb26ba4fea4bff42');
INSERT INTO `clients` VALUES ('2019-03-01 02:32:00', NULL, NULL, 0, '3f2504e0-4f89-41d3-9a0c-0305e82c3301', '96e19289204240d68a5a5fb15210437a', '5f3b0c8e1d2a4c6f9e7b8a1d2c3e4f50', 'web-1', 'web-1.example.org', 'second user', '96e19289204240d68a5a5fb15210437a');
INSERT INTO `clients` VALUES ('2019-03-01 02:35:00', '2019-03-01 02:36:00', '2019-03-01 02:36:00', 1, '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', '9a795632598b4a34b00ec234a6b90ed7', 'a0c4e8d2b6f14a3c8d7e9f0b1a2c3d4e', 'gone-1', 'gone-1', 'deleted', '9a795632598b4a34b00ec234a6b90ed7');
INSERT INTO `clients` VALUES ('2019-03-01 02:31:00', NULL, NULL, 0, '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', 'c0ffee00c0ffee00c0ffee00c0ffee00', '5f3b0c8e1d2a4c6f9e7b8a1d2c3e4f50', 'web-1', 'web-1.example.org', 'twin', 'c0ffee00c0ffee00c0ffee00c0ffee00');
INSERT INTO `clients` VALUES ('2019-03-01 02:33:00', NULL, NULL, 0, '3f2504e0-4f89-41d3-9a0c-0305e82c3301', 'fc321d1f34ad49058993315879b4ed94', 'a0c4e8d2b6f14a3c8d7e9f0b1a2c3d4e', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.ccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc.ddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.ccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc.ddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd', '', 'fc321d1f34ad49058993315879b4ed94');
INSERT INTO `clients` VALUES (NULL, NULL, NULL, 0, '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', 'hand-client-created-null', 'd41d8cd98f00b204e9800998ecf8427e', 'hand-2', 'hand-1', NULL, 'hand-client-created-null');
INSERT INTO `clients` VALUES ('2019-03-02 00:00:00', NULL, NULL, NULL, '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', 'hand-client-deleted-null', 'd41d8cd98f00b204e9800998ecf8427e', 'hand-1', 'hand-1', NULL, 'hand-client-deleted-null');
CREATE TABLE `jobs` (
  `created_at` datetime DEFAULT NULL,
  `updated_at` datetime DEFAULT NULL,
  `deleted_at` datetime DEFAULT NULL,
  `deleted` tinyint(1) DEFAULT NULL,
  `id` varchar(36) NOT NULL,
  `project_id` varchar(36) DEFAULT NULL,
  `user_id` varchar(36) NOT NULL,
  `schedule` text DEFAULT NULL,
  `client_id` varchar(255) NOT NULL,
  `session_id` varchar(36) DEFAULT NULL,
  `session_tag` int(11) DEFAULT NULL,
  `description` varchar(255) DEFAULT NULL,
  `job_actions` text DEFAULT NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `CONSTRAINT_1` CHECK (`deleted` in (0,1))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3 COLLATE=utf8mb3_general_ci;
INSERT INTO `jobs` VALUES ('2019-03-01 03:10:00', NULL, NULL, 0, '283cf37e20b24da6bcadba62585a95e6', '5f3b0c8e1d2a4c6f9e7b8a1d2c3e4f50', '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', '{"schedule_interval": "5 minutes", "time_created": 1551409800, "time_started": -1, "time_ended": -1}', 'web-1', '', 0, 'no action name, unknown id', '[{"freezer_action": {"backup_name": "no action name"}, "max_retries": 1, "action_id": "0000000000000000000000000000dead"}]');
INSERT INTO `jobs` VALUES ('2019-03-01 03:14:00', NULL, NULL, 0, '39229aafbab74869819e943352a94185', '5f3b0c8e1d2a4c6f9e7b8a1d2c3e4f50', '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', '{"schedule_interval": "5 minutes", "time_created": 1551410040, "time_started": -1, "time_ended": -1}', 'web-1', '', 0, 'the same unknown id', '[{"freezer_action": {"action": "backup", "mode": "fs", "backup_name": "inline", "path_to_backup": "/inline", "priority": 1, "timeout": 60, "mandatory": false, "storage": "s3"}, "max_retries": 4, "max_retries_interval": 9, "action_id": "00000000000000000000000000000bad"}, {"freezer_action": {"action": "backup", "mode": "fs", "backup_name": "inline", "path_to_backup": "/inline", "priority": 1, "timeout": 60, "mandatory": false, "storage": "s3"}, "max_retries": 4, "max_retries_interval": 9, "action_id": "other-unknown", "user_id": "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "project_id": "5f3b0c8e1d2a4c6f9e7b8a1d2c3e4f50"}]');
INSERT INTO `jobs` VALUES ('2019-03-01 03:04:00', NULL, NULL, 0, '3d2c640bac684394a5344ace351287ed', '5f3b0c8e1d2a4c6f9e7b8a1d2c3e4f50', '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', '{"schedule_interval": "5 minutes", "time_created": 1551409440, "time_started": -1, "time_ended": -1}', 'web-1', '', 0, 'null or empty string', '""');
INSERT INTO `jobs` VALUES ('2019-03-01 03:11:00', NULL, NULL, 0, '4d47f9447c3b462faa9d29560e4aa6f3', '5f3b0c8e1d2a4c6f9e7b8a1d2c3e4f50', '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', '{"schedule_interval": "5 minutes", "time_created": 1551409860, "time_started": -1, "time_ended": -1}', 'web-1', '', 0, 'gaps, one action twice, other project\'s, deleted one', '[{"project_id": "5f3b0c8e1d2a4c6f9e7b8a1d2c3e4f50", "action_id": "6ff54c45ab794a10b3d095fabcd6b131", "user_id": "0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c", "max_retries": 3, "max_retries_interval": 60, "freezer_action": {"action": "backup", "mode": "fs", "path_to_backup": "/var/lib/mysql", "backup_name": "nightly", "container": "freezer_backups", "timeout": 3600, "priority": 2, "mandatory": true, "log_file": "/var/log/freezer.log", "storage": "swift", "engine_name": "tar", "max_level": 14, "no_incremental": false, "remove_older_than": 30.5, "description": "Sicherung \\u2615 \\ud83d\\udcbe", "nested": {"a": [1, null, {"b": "\\u00fc"}]}, "result": "success", "time_elapsed": "12.5"}}, {"freezer_action": {"backup_name": "no action name"}, "max_retries": 1}, {"project_id": "5f3b0c8e1d2a4c6f9e7b8a1d2c3e4f50", "action_id": "6ff54c45ab794a10b3d095fabcd6b131", "user_id": "0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c", "max_retries": 3, "max_retries_interval": 60, "freezer_action": {"action": "backup", "mode": "fs", "path_to_backup": "/var/lib/mysql", "backup_name": "nightly", "container": "freezer_backups", "timeout": 3600, "priority": 2, "mandatory": true, "log_file": "/var/log/freezer.log", "storage": "swift", "engine_name": "tar", "max_level": 14, "no_incremental": false, "remove_older_than": 30.5, "description": "Sicherung \\u2615 \\ud83d\\udcbe", "nested": {"a": [1, null, {"b": "\\u00fc"}]}, "result": "success", "time_elapsed": "12.5"}}, {"project_id": "a0c4e8d2b6f14a3c8d7e9f0b1a2c3d4e", "action_id": "3d19cbaf06564c2eb4b6d1e785660f73", "user_id": "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "max_retries": 5, "max_retries_interval": 6, "freezer_action": {"action": "restore", "mode": "fs", "restore_abs_path": "/tmp/\\u00fc"}}, {"action_id": "58804f18c68743dba71eef34e4b4134e", "freezer_action": {"action": "info"}}]');
INSERT INTO `jobs` VALUES ('2019-03-01 03:08:00', NULL, NULL, 0, '616722af103c458f91abc763a763bc80', '5f3b0c8e1d2a4c6f9e7b8a1d2c3e4f50', '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', '{"schedule_interval": "5 minutes", "time_created": 1551409680, "time_started": -1, "time_ended": -1}', 'web-1', '', 0, 'an object', '{}');
INSERT INTO `jobs` VALUES ('2019-03-01 03:06:00', NULL, NULL, 0, '65cf31a85047411f8a52df8980816b9e', '5f3b0c8e1d2a4c6f9e7b8a1d2c3e4f50', '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', '{"schedule_interval": "5 minutes", "time_created": 1551409560, "time_started": -1, "time_ended": -1}', 'web-1', '', 0, 'SQL NULL', NULL);
INSERT INTO `jobs` VALUES ('2019-03-01 02:54:00', NULL, NULL, 0, '715e2ed9775c4d82a6fbba36c4b4df5a', '5f3b0c8e1d2a4c6f9e7b8a1d2c3e4f50', '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', '{"schedule_interval": "5 minutes", "time_created": 1551408840, "time_started": -1, "time_ended": -1}', 'web-1', 'fe923f95e4544e9591ab7205c80f0b13', 1, 'actions of others', '[{"project_id": "5f3b0c8e1d2a4c6f9e7b8a1d2c3e4f50", "action_id": "6ff54c45ab794a10b3d095fabcd6b131", "user_id": "0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c", "max_retries": 3, "max_retries_interval": 60, "freezer_action": {"action": "backup", "mode": "fs", "path_to_backup": "/var/lib/mysql", "backup_name": "nightly", "container": "freezer_backups", "timeout": 3600, "priority": 2, "mandatory": true, "log_file": "/var/log/freezer.log", "storage": "swift", "engine_name": "tar", "max_level": 14, "no_incremental": false, "remove_older_than": 30.5, "description": "Sicherung \\u2615 \\ud83d\\udcbe", "nested": {"a": [1, null, {"b": "\\u00fc"}]}, "result": "success", "time_elapsed": "12.5"}}, {"project_id": "5f3b0c8e1d2a4c6f9e7b8a1d2c3e4f50", "action_id": "23669148e2d54ef1b5efe45cc154717b", "user_id": "0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c", "max_retries": 5, "max_retries_interval": 6, "freezer_action": {"action": "exec"}}]');
INSERT INTO `jobs` VALUES ('2019-03-01 03:03:00', NULL, NULL, 0, '7771fd12cabf47408ba70dc8819eb526', 'a0c4e8d2b6f14a3c8d7e9f0b1a2c3d4e', '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', '{"schedule_interval": "5 minutes", "time_created": 1551409380, "time_started": -1, "time_ended": -1}', 'never-registered', '', 0, 'client unknown', '[]');
INSERT INTO `jobs` VALUES ('2019-03-01 03:12:00', NULL, NULL, 0, '7dff8233eeba4ca5a4d018f7c82899fd', '5f3b0c8e1d2a4c6f9e7b8a1d2c3e4f50', '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', '{"schedule_interval": "5 minutes", "time_created": 1551409920, "time_started": -1, "time_ended": -1}', 'web-1', '', 0, 'SQL text with unicode', '[{"action_id": "23669148e2d54ef1b5efe45cc154717b", "freezer_action": {"action": "exec", "command": "echo: Nächtliche Sicherung ☕"}}]');
INSERT INTO `jobs` VALUES ('2019-03-01 03:09:00', NULL, NULL, 0, '7e6c88a03bd94e78a1cc9977fe68d7ec', '5f3b0c8e1d2a4c6f9e7b8a1d2c3e4f50', '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', '{"schedule_interval": "5 minutes", "time_created": 1551409740, "time_started": -1, "time_ended": -1}', 'web-1', '', 0, 'no action name, no id', '[{"freezer_action": {"backup_name": "no action name"}, "max_retries": 1}, {}, "text", null]');
INSERT INTO `jobs` VALUES ('2019-03-01 03:07:00', NULL, NULL, 0, '83ab7412d8d14b7c82dda4e1ac53cc7f', '5f3b0c8e1d2a4c6f9e7b8a1d2c3e4f50', '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', '{"schedule_interval": "5 minutes", "time_created": 1551409620, "time_started": -1, "time_ended": -1}', 'web-1', '', 0, 'empty text', '');
INSERT INTO `jobs` VALUES ('2019-03-01 02:57:00', NULL, NULL, 0, '8f972f32dc864a0c863c722c57c77b1b', '5f3b0c8e1d2a4c6f9e7b8a1d2c3e4f50', '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', '{"schedule_interval": "5 minutes", "time_created": 1551409020, "time_started": -1, "time_ended": -1}', 'web-1', '', 0, 'no actions', '[]');
INSERT INTO `jobs` VALUES ('2019-03-01 02:52:00', NULL, NULL, 0, '96426643512e4363880bc059bfa183ee', '5f3b0c8e1d2a4c6f9e7b8a1d2c3e4f50', '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', '{"event": "start", "status": "scheduled", "result": "success", "schedule_date": "2019-03-02T03:04:05", "schedule_interval": "2 hours", "schedule_start_date": "2019-03-01T00:00:00", "schedule_end_date": "2029-03-01T00:00:00Z", "schedule_year": "2019", "schedule_month": "3", "schedule_day": "2", "schedule_week": "9", "schedule_day_of_week": "sat", "schedule_hour": "3", "schedule_minute": "15", "schedule_second": "30", "current_pid": 14520, "time_created": 1551408720, "time_started": -1, "time_ended": -1}', 'web-1', 'fe923f95e4544e9591ab7205c80f0b13', 1, 'job: Nächtliche Sicherung ☕', '[{"freezer_action": {"action": "backup", "mode": "mysql", "backup_name": "first", "path_to_backup": "/srv/\\u00fc", "container": "c"}, "max_retries": 2, "max_retries_interval": 5, "mandatory": true, "user_id": "0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c", "project_id": "5f3b0c8e1d2a4c6f9e7b8a1d2c3e4f50", "action_id": "88a33cbc79de483a9e85f80903bade97"}, {"freezer_action": {"action": "backup", "mode": "mysql", "backup_name": "second: N\\u00e4chtliche Sicherung \\u2615", "path_to_backup": "/srv/\\u00fc", "container": "c"}, "max_retries": 2, "max_retries_interval": 5, "mandatory": true, "user_id": "0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c", "project_id": "5f3b0c8e1d2a4c6f9e7b8a1d2c3e4f50", "action_id": "0556f2c01654438e8ede56571035e389"}]');
INSERT INTO `jobs` VALUES ('2019-03-01 02:59:00', '2019-03-01 03:00:00', '2019-03-01 03:00:00', 1, '9c36c125b9bc46ee8bf96596993cf10d', '5f3b0c8e1d2a4c6f9e7b8a1d2c3e4f50', '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', '{"schedule_interval": "5 minutes", "time_created": 1551409140, "time_started": -1, "time_ended": -1}', 'web-1', '', 0, 'deleted', '[{"freezer_action": {"action": "info"}, "user_id": "0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c", "project_id": "5f3b0c8e1d2a4c6f9e7b8a1d2c3e4f50", "action_id": "0670233f4af7496b860cffe321eac0b0"}]');
INSERT INTO `jobs` VALUES ('2019-03-01 03:05:00', NULL, NULL, 0, 'b65b0636306543ea9643ec11607960eb', '5f3b0c8e1d2a4c6f9e7b8a1d2c3e4f50', '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', '{"schedule_interval": "5 minutes", "time_created": 1551409500, "time_started": -1, "time_ended": -1}', 'web-1', '', 0, 'not JSON', '[{"action_id": "6ff54c45ab794a10b3d095fabcd6b131", "freezer_action": {"act');
INSERT INTO `jobs` VALUES ('2019-03-01 03:13:00', NULL, NULL, 0, 'bbc03ba132f04baa8bf569b6e21b1f75', '5f3b0c8e1d2a4c6f9e7b8a1d2c3e4f50', '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', '{"schedule_interval": "5 minutes", "time_created": 1551409980, "time_started": -1, "time_ended": -1}', 'web-1', '', 0, 'unknown id', '[{"freezer_action": {"action": "backup", "mode": "fs", "backup_name": "inline", "path_to_backup": "/inline", "priority": 1, "timeout": 60, "mandatory": false, "storage": "s3"}, "max_retries": 4, "max_retries_interval": 9, "action_id": "00000000000000000000000000000bad"}]');
INSERT INTO `jobs` VALUES ('2019-03-01 03:02:00', NULL, NULL, 0, 'bf9d21e6f54e4fea956ce36cf71b53c4', 'a0c4e8d2b6f14a3c8d7e9f0b1a2c3d4e', '3f2504e0-4f89-41d3-9a0c-0305e82c3301', '{"schedule_interval": "5 minutes", "time_created": 1551409320, "time_started": -1, "time_ended": -1}', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.ccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc.ddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd', '', 0, 'user id of 36', '[{"freezer_action": {"action": "backup", "mode": "fs"}, "user_id": "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "project_id": "a0c4e8d2b6f14a3c8d7e9f0b1a2c3d4e", "action_id": "9d0ef30c79fa410ca5a7308943ca75af"}]');
INSERT INTO `jobs` VALUES ('2019-03-01 03:15:00', NULL, NULL, 0, 'd79a98a228e7412dbdc1501117f1c216', '5f3b0c8e1d2a4c6f9e7b8a1d2c3e4f50', '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', '{"schedule_interval": "5 minutes", "time_created": 1551410100, "time_started": -1, "time_ended": -1}', 'web-1', '', 0, 'no id', '[{"freezer_action": {"action": "backup", "mode": "fs", "backup_name": "inline", "path_to_backup": "/inline", "priority": 1, "timeout": 60, "mandatory": false, "storage": "s3"}, "max_retries": 4, "max_retries_interval": 9}, {"project_id": "5f3b0c8e1d2a4c6f9e7b8a1d2c3e4f50", "action_id": "23669148e2d54ef1b5efe45cc154717b", "user_id": "0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c", "max_retries": 5, "max_retries_interval": 6, "freezer_action": {"action": "exec"}}]');
INSERT INTO `jobs` VALUES ('2019-03-01 03:16:00', NULL, NULL, 0, 'eda75f1af8a244e3af92c98a3f8d2124', '5f3b0c8e1d2a4c6f9e7b8a1d2c3e4f50', '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', '{"schedule_interval": "5 minutes", "time_created": 1551410160, "time_started": -1, "time_ended": -1}', 'web-1', '', 0, 'no id, too long for the columns', '[{"freezer_action": {"action": "backup", "path_to_backup": "/ppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp", "priority": "high", "mode": "fs"}}]');
INSERT INTO `jobs` VALUES (NULL, NULL, NULL, 0, 'hand-job-created-null', 'd41d8cd98f00b204e9800998ecf8427e', '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', '', 'd41d8cd98f00b204e9800998ecf8427e_db-1', NULL, NULL, NULL, NULL);
INSERT INTO `jobs` VALUES ('2019-03-02 00:00:00', NULL, NULL, NULL, 'hand-job-deleted-null', 'd41d8cd98f00b204e9800998ecf8427e', '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', '{}', 'd41d8cd98f00b204e9800998ecf8427e_db-1', NULL, NULL, NULL, NULL);
CREATE TABLE `migrate_version` (
  `repository_id` varchar(250) NOT NULL,
  `repository_path` text DEFAULT NULL,
  `version` int(11) DEFAULT NULL,
  PRIMARY KEY (`repository_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3 COLLATE=utf8mb3_general_ci;
INSERT INTO `migrate_version` VALUES ('freezer-api', '/usr/lib/python3/dist-packages/freezer_api/db/sqlalchemy/migrate_repo', 3);
CREATE TABLE `sessions` (
  `created_at` datetime DEFAULT NULL,
  `updated_at` datetime DEFAULT NULL,
  `deleted_at` datetime DEFAULT NULL,
  `deleted` tinyint(1) DEFAULT NULL,
  `id` varchar(36) NOT NULL,
  `session_tag` int(11) DEFAULT NULL,
  `description` varchar(255) DEFAULT NULL,
  `hold_off` int(11) DEFAULT NULL,
  `schedule` text DEFAULT NULL,
  `job` text DEFAULT NULL,
  `project_id` varchar(36) DEFAULT NULL,
  `user_id` varchar(36) NOT NULL,
  `time_start` int(11) DEFAULT NULL,
  `time_end` int(11) DEFAULT NULL,
  `time_started` int(11) DEFAULT NULL,
  `time_ended` int(11) DEFAULT NULL,
  `status` varchar(255) DEFAULT NULL,
  `result` varchar(255) DEFAULT NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `CONSTRAINT_1` CHECK (`deleted` in (0,1))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3 COLLATE=utf8mb3_general_ci;
INSERT INTO `sessions` VALUES ('2019-03-01 02:46:00', NULL, NULL, 0, '76b79caafbbf4fb5828da6e6007a4abb', 0, 'without jobs', 30, '{"schedule_interval": "1 days"}', NULL, '5f3b0c8e1d2a4c6f9e7b8a1d2c3e4f50', '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', -1, -1, -1, -1, 'active', NULL);
INSERT INTO `sessions` VALUES ('2019-03-01 02:47:00', '2019-03-01 02:48:00', NULL, 0, 'b125b0c63a6e461e80580897a90184f2', 7, 'replaced', 30, '{"schedule_date": "2019-03-02T03:04:05"}', 'null', 'a0c4e8d2b6f14a3c8d7e9f0b1a2c3d4e', '3f2504e0-4f89-41d3-9a0c-0305e82c3301', -1, -1, -1, -1, 'active', NULL);
INSERT INTO `sessions` VALUES ('2019-03-01 02:49:00', '2019-03-01 02:50:00', '2019-03-01 02:50:00', 1, 'c57243da587c4f7886fa2547c2f8773a', 0, 'deleted', 30, '{"schedule_interval": "1 days"}', NULL, 'd41d8cd98f00b204e9800998ecf8427e', '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', -1, -1, -1, -1, 'active', NULL);
INSERT INTO `sessions` VALUES ('2019-03-01 02:45:00', '2019-03-01 02:56:00', NULL, 0, 'fe923f95e4544e9591ab7205c80f0b13', 2, 'session: Nächtliche Sicherung ☕', 60, '{"event": "start", "status": "scheduled", "result": "success", "schedule_date": "2019-03-02T03:04:05", "schedule_interval": "2 hours", "schedule_start_date": "2019-03-01T00:00:00", "schedule_end_date": "2029-03-01T00:00:00Z", "schedule_year": "2019", "schedule_month": "3", "schedule_day": "2", "schedule_week": "9", "schedule_day_of_week": "sat", "schedule_hour": "3", "schedule_minute": "15", "schedule_second": "30", "current_pid": 14520}', '{"715e2ed9775c4d82a6fbba36c4b4df5a": {"client_id": "web-1", "status": "completed", "result": "success", "time_started": 1551407460, "time_ended": 1551407522}, "96426643512e4363880bc059bfa183ee": {"client_id": "web-1", "status": "completed", "result": "success", "time_started": 1551407460, "time_ended": 1551407521}}', '5f3b0c8e1d2a4c6f9e7b8a1d2c3e4f50', '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', 1551407400, 1551407580, 1551407460, 1551407520, 'completed', 'success');
INSERT INTO `sessions` VALUES (NULL, NULL, NULL, 0, 'hand-session-created-null', NULL, NULL, NULL, '{}', '{}', 'd41d8cd98f00b204e9800998ecf8427e', '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO `sessions` VALUES ('2019-03-02 00:00:00', NULL, NULL, NULL, 'hand-session-deleted-null', NULL, NULL, NULL, '{}', NULL, 'd41d8cd98f00b204e9800998ecf8427e', '0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c', NULL, NULL, NULL, NULL, NULL, NULL);
SET foreign_key_checks = 1;
