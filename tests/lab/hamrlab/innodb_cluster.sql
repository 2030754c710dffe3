-- SPDX-License-Identifier: GPL-2.0-or-later
-- The part of the InnoDB Cluster metadata (version 2.2.0) that MySQL Router reads when it is
-- bootstrapped and when it refreshes its metadata cache, and the one table that it writes.
-- innodb_cluster.py fills in what stands between at-signs.
CREATE DATABASE mysql_innodb_cluster_metadata;
USE mysql_innodb_cluster_metadata;

CREATE SQL SECURITY INVOKER VIEW schema_version (major, minor, patch) AS SELECT 2, 2, 0;

CREATE TABLE clusters (
    cluster_id CHAR(36) PRIMARY KEY,
    cluster_name VARCHAR(63) NOT NULL UNIQUE,
    description TEXT,
    options JSON,
    attributes JSON,
    cluster_type ENUM('gr', 'ar') NOT NULL,
    primary_mode ENUM('pm', 'mm') NOT NULL DEFAULT 'pm',
    router_options JSON,
    clusterset_id CHAR(36)
);

CREATE TABLE instances (
    instance_id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
    cluster_id CHAR(36) NOT NULL,
    address VARCHAR(265) NOT NULL,
    mysql_server_uuid CHAR(36) NOT NULL UNIQUE,
    instance_name VARCHAR(265) NOT NULL,
    addresses JSON NOT NULL,
    attributes JSON,
    description TEXT
);

CREATE TABLE routers (
    router_id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
    router_name VARCHAR(265) NOT NULL,
    product_name VARCHAR(128) NOT NULL,
    address VARCHAR(256) NOT NULL,
    version VARCHAR(12),
    last_check_in TIMESTAMP NULL,
    attributes JSON,
    cluster_id CHAR(36),
    options JSON,
    clusterset_id CHAR(36),
    UNIQUE (address, router_name)
);

CREATE SQL SECURITY INVOKER VIEW v2_clusters AS
    SELECT cluster_id, cluster_name, cluster_type, primary_mode, description AS comment,
        router_options, clusterset_id, options, attributes FROM clusters;

CREATE SQL SECURITY INVOKER VIEW v2_gr_clusters AS
    SELECT cluster_type, primary_mode, cluster_id, cluster_name,
        attributes->>'$.group_replication_group_name' AS group_name, comment,
        router_options, clusterset_id, options, attributes
    FROM v2_clusters WHERE cluster_type = 'gr';

CREATE SQL SECURITY INVOKER VIEW v2_ar_clusters AS
    SELECT cluster_id, cluster_name, cluster_type, 0 AS view_id, comment, router_options, attributes
    FROM v2_clusters WHERE cluster_type = 'ar';

CREATE SQL SECURITY INVOKER VIEW v2_instances AS
    SELECT instance_id, cluster_id, instance_name AS label, mysql_server_uuid, address,
        addresses->>'$.mysqlClassic' AS endpoint, addresses->>'$.mysqlX' AS xendpoint,
        addresses->>'$.grLocal' AS grendpoint, attributes, 'group-member' AS instance_type
    FROM instances;

CREATE SQL SECURITY INVOKER VIEW v2_this_instance AS
    SELECT I.cluster_id, I.instance_id, C.cluster_name, C.cluster_type
    FROM v2_instances I JOIN v2_clusters C ON C.cluster_id = I.cluster_id
    WHERE I.mysql_server_uuid = (SELECT variable_value FROM performance_schema.global_variables
        WHERE variable_name = 'server_uuid');

CREATE SQL SECURITY INVOKER VIEW v2_routers AS
    SELECT router_id, cluster_id, router_name, product_name, address, version,
        last_check_in, attributes, clusterset_id, options FROM routers;

CREATE SQL SECURITY INVOKER VIEW v2_router_options AS
    SELECT router_id, CONCAT(address, '::', router_name) AS router_label, options AS router_options,
        clusterset_id, cluster_id FROM routers;

-- There is no set of clusters, and no account of the REST interface.
CREATE SQL SECURITY INVOKER VIEW v2_cs_clustersets AS
    SELECT '' AS clusterset_id, '' AS domain_name, '{}' AS attributes, '{}' AS router_options
    FROM clusters WHERE FALSE;
CREATE SQL SECURITY INVOKER VIEW v2_cs_members AS
    SELECT '' AS clusterset_id, '' AS cluster_id, '' AS cluster_name, '' AS member_role,
        0 AS master_instance_id, '' AS master_cluster_id, 0 AS invalidated
    FROM clusters WHERE FALSE;
CREATE SQL SECURITY INVOKER VIEW v2_router_rest_accounts AS
    SELECT '' AS cluster_id, '' AS user, '' AS authentication_method,
        '' AS authentication_string, '' AS description, '{}' AS privileges, '{}' AS attributes
    FROM clusters WHERE FALSE;

SET @cluster = 'c1c1c1c1-0000-0000-0000-000000000001';
INSERT INTO clusters (cluster_id, cluster_name, description, options, attributes, cluster_type,
        router_options)
    VALUES (@cluster, 'shop', 'Default cluster', NULL,
        JSON_OBJECT('adopted', 0, 'group_replication_group_name', '@GROUP@'), 'gr', '{}');
INSERT INTO instances (instance_id, cluster_id, address, mysql_server_uuid, instance_name,
        addresses) VALUES
@INSTANCES@;
